"""Manifests of artifacts, the folders by which each stage passes its result to the next.

A writer fills a temporary folder (``output_folders``) and writes the manifest last, so that a killed job leaves nothing
that looks finished. The manifest contains a digest of itself and of every other file of the folder. Readers call
``read_manifest``, and open a file only by the path that ``artifact_file`` or ``checked_file`` returns.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, MANIFEST, SAVED_MODEL_KIND
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import FILES, check_files, checked_file, describe_folder
from tfrs_pretrain.json_documents import REPEAT, check_document, document_text, parse_document, without_digest
from tfrs_pretrain.output_folders import recover, refuse_remote, unfinished_file
from tfrs_pretrain.version import __version__


def write_manifest(folder: Path, kind: str, content: dict[str, Any], *, name: str = MANIFEST,
                   root: Path | None = None) -> None:
    """Writes ``folder/name`` by temporary name and rename; call it after all other files are written.

    Args:
      folder: folder of the manifest.
      kind: kind of the artifact.
      content: content of the manifest; digests of the artifact's files are added.
      name: file name of the manifest.
      root: folder of the artifact, if the manifest is in a subfolder of it.
    """
    files = describe_folder(root or folder, without=folder / name)
    write_text(folder / name, manifest_text(kind, {**content, FILES: files}))


def manifest_text(kind: str, content: dict[str, Any]) -> str:
    """Returns the text of a manifest with its own digest, for writers to other file systems."""
    return document_text({"kind": kind, "code_version": __version__, **content}, sort_keys=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file by temporary name and rename."""
    with unfinished_file(path) as temporary:
        temporary.write_text(text)
        temporary.replace(path)


def read_optional_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object, without its digest; empty if there is no file.

    Raises:
      UserError: the file is not readable or not JSON, or its content changed after it was written.
    """
    if not path.is_file():
        return {}
    return parse_document(path.read_bytes(), path, "remove it and lose its content")


def has_manifest(folder: Path, name: str = MANIFEST) -> bool:
    """Returns whether a writer has finished a folder."""
    recover(folder)
    return (folder / name).is_file()


def read_manifest(folder: Path, *kinds: str, name: str = MANIFEST) -> dict[str, Any]:
    """Reads the manifest of a finished artifact; its own digest is left out.

    Args:
      folder: folder of the artifact.
      kinds: accepted kinds, the usual one first, which messages name.
      name: file name of the manifest.

    Raises:
      UserError: the folder is missing, has no manifest (its writer did not finish), is of another kind, or its
        manifest changed after it was written.
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
        raise UserError(f"{str(path)!r} is not readable JSON ({error}): restore a copy, or {REPEAT}") from error
    if isinstance(manifest, dict):
        check_document(manifest, path)
    found = manifest.get("kind") if isinstance(manifest, dict) else None
    if found not in kinds:
        expected = " or ".join(map(repr, kinds))
        raise UserError(f"{str(folder)!r} contains {found!r}, expected {expected}: name another folder")
    return without_digest(manifest)


def artifact_file(folder: Path, kind: str, name: str) -> Path:
    """Returns the path of a file of a finished artifact after comparing the file with the manifest.

    Raises:
      UserError: see ``read_manifest`` and ``checked_file``.
    """
    return checked_file(folder, read_manifest(folder, kind), name)


def check_artifact(folder: Path, kind: str) -> None:
    """Compares all files of a finished artifact with its manifest.

    Raises:
      UserError: see ``read_manifest`` and ``checked_file``.
    """
    check_files(folder, read_manifest(folder, kind))


def check_saved_model(folder: Path) -> None:
    """Compares all files of a SavedModel with its manifest; one that this project did not export has none.

    Raises:
      UserError: see ``read_manifest`` and ``checked_file``.
    """
    if (folder / EXTRA_ASSETS / MANIFEST).is_file():
        check_files(folder, read_manifest(folder / EXTRA_ASSETS, SAVED_MODEL_KIND))


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
