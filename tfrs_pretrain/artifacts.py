"""Manifests of artifacts, the folders by which each stage passes its result to the next.

A writer fills a temporary folder (``output_folders``) and writes the manifest last, so that a killed job leaves nothing
that looks finished. Readers call ``read_manifest``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tfrs_pretrain import __version__
from tfrs_pretrain.artifact_names import MANIFEST
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import recover, refuse_remote, unfinished_file


def write_manifest(folder: Path, kind: str, content: dict[str, Any], *, name: str = MANIFEST) -> None:
    """Writes ``folder/name`` by temporary name and rename; call it after all other files are written."""
    write_text(folder / name, manifest_text(kind, content))


def manifest_text(kind: str, content: dict[str, Any]) -> str:
    """Returns the text of a manifest, for writers to other file systems."""
    return json.dumps({"kind": kind, "code_version": __version__, **content}, indent=2, sort_keys=True) + "\n"


def write_text(path: Path, text: str) -> None:
    """Writes a text file by temporary name and rename."""
    with unfinished_file(path) as temporary:
        temporary.write_text(text)
        temporary.replace(path)


def read_optional_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; empty if there is no file.

    Raises:
      UserError: the file is not readable or not JSON.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r} is not readable JSON ({error}): restore a copy, or remove it and lose its "
                        "content") from error
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} contains a {type(content).__name__}, not an object: remove it")
    return content


def read_manifest(folder: Path, *kinds: str, name: str = MANIFEST) -> dict[str, Any]:
    """Reads the manifest of a finished artifact.

    Args:
      folder: folder of the artifact.
      kinds: accepted kinds, the usual one first, which messages name.
      name: file name of the manifest.

    Raises:
      UserError: the folder is missing, has no manifest (its writer did not finish), or is of another kind.
    """
    kind = kinds[0]
    refuse_remote(folder)
    recover(folder)
    if not folder.is_dir():
        raise UserError(f"{kind} folder {str(folder)!r} does not exist: run the stage that writes it, or "
                        "correct the path")
    path = folder / name
    if not path.is_file():
        raise UserError(f"{str(folder)!r} has no {name}, so it is no finished {kind}: the run that wrote it did not "
                        "finish (run it again), or it is another folder")
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r} is not readable JSON ({error}): run the stage that writes it again") from error
    found = manifest.get("kind") if isinstance(manifest, dict) else None
    if found not in kinds:
        expected = " or ".join(map(repr, kinds))
        raise UserError(f"{str(folder)!r} contains {found!r}, expected {expected}: name another folder")
    return dict(manifest)


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(content: Any) -> str:
    """Returns the SHA-256 of a JSON value, independent of key order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
