"""JSON files with a digest of their own content: manifests, and the state that one command leaves for the next.

::

    {..., "content_digest": "5f3c...", "digest_algorithm": "sha256"}

A file of an older version has neither key. The second one shows that a file without the first is damaged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.errors import UserError

DIGEST, ALGORITHM = "content_digest", "digest_algorithm"
REPEAT = "run the stage that writes it again with --overwrite"


def json_digest(content: Any) -> str:
    """Returns the SHA-256 of a JSON value, independent of key order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def document_text(content: Mapping[str, Any], *, sort_keys: bool = False) -> str:
    """Returns the text of a JSON file with the digest of its content, which does not depend on the order of keys."""
    document = json.loads(json.dumps({**without_digest(content), ALGORITHM: "sha256"}))
    return json.dumps({**document, DIGEST: json_digest(document)}, indent=2, sort_keys=sort_keys) + "\n"


def without_digest(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content that ``document_text`` was called with."""
    return {key: value for key, value in document.items() if key not in (DIGEST, ALGORITHM)}


def check_document(document: Mapping[str, Any], path: Path | str, otherwise: str = REPEAT) -> None:
    """Compares the content of a JSON file with its own digest; a file of an older version has none.

    Args:
      document: content of the file.
      path: path for the message.
      otherwise: what to do if there is no copy to restore.

    Raises:
      UserError: they differ.
    """
    if DIGEST not in document and ALGORITHM not in document:
        return
    expected = document.get(DIGEST, "none")
    found = json_digest({key: value for key, value in document.items() if key != DIGEST})
    if found != expected:
        raise UserError(f"{str(path)!r}: expected content with digest {str(expected)[:12]}, found {found[:12]}; the "
                        f"file changed after it was written: restore a copy, or {otherwise}")


def parse_document(text: str | bytes, path: Path | str, otherwise: str = REPEAT) -> dict[str, Any]:
    """Parses the text of a JSON file and compares it with its digest; arguments as for ``check_document``.

    Returns:
      The content without the digest.

    Raises:
      UserError: the text is not a JSON object, or the digests differ.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UserError(f"{str(path)!r} is not readable JSON ({error}): restore a copy, or {otherwise}") from error
    if not isinstance(document, dict):
        raise UserError(f"{str(path)!r} contains a {type(document).__name__}, not an object: restore a copy, or "
                        f"{otherwise}")
    check_document(document, path, otherwise)
    return without_digest(document)
