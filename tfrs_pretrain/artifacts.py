"""Artifacts: folders with a manifest, by which each stage passes its result to the next.

A writer fills a temporary folder, writes the manifest last and renames the folder into place, so that a killed job
leaves nothing that looks finished. Readers call ``read_manifest``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfrs_pretrain import __version__
from tfrs_pretrain.artifact_names import MANIFEST
from tfrs_pretrain.errors import UserError

REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one slash: Path removes the other


@contextlib.contextmanager
def staged_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty temporary folder beside ``target`` and renames it to ``target`` when the body succeeds.

    Raises:
      UserError: ``target`` exists and ``overwrite`` is false, or it is not a folder.
    """
    refuse_existing(target, overwrite=overwrite)
    with unfinished_folder(target.parent, target.name) as temporary:
        yield temporary
        if target.exists():
            shutil.rmtree(target)
        temporary.replace(target)


@contextlib.contextmanager
def unfinished_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yields an empty folder ``.<name>.unfinished-<token>`` and removes it, unless the body renamed it.

    A writer locks its folder while it runs. Unlocked folders, left by killed writers, are removed first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f".{name}.unfinished-*"):
        _remove_if_abandoned(leftover)
    temporary, lock = _locked_folder(parent, name)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path, name: str) -> tuple[Path, int]:
    while True:
        folder = parent / f".{name}.unfinished-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        with contextlib.suppress(OSError):  # a file system without locks: leftovers stay
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another writer may have removed the folder as abandoned before it was locked.
        if folder.exists():
            return folder, lock
        os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # the writer has finished
    try:
        with contextlib.suppress(OSError):  # the writer is running
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def inside(root: Path, *names: str) -> Path:
    """Joins names to a folder.

    Raises:
      UserError: the result is not below the folder, as with the name "../..".
    """
    path = root.joinpath(*names)
    if not path.is_relative_to(root) or path == root or ".." in path.relative_to(root).parts:
        raise UserError(f"{'/'.join(names)!r} leads out of the folder {str(root)!r}: use another name")
    return path


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raises UserError if ``target`` is a file, or a folder with content that must not be replaced."""
    refuse_remote(target)
    refuse_working_folder(target)
    if target.exists() and not target.is_dir():
        raise UserError(f"output {str(target)!r} is a file: name a folder")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise UserError(f"output folder {str(target)!r} is not empty: pass --overwrite to replace it, or name another")


def refuse_working_folder(target: Path) -> None:
    """Raises UserError if ``target`` is the current folder or contains it: replacing it would delete the work."""
    if Path.cwd().is_relative_to(target.resolve()):
        raise UserError(f"output folder {str(target)!r} contains the folder in which the command runs: name another")


def refuse_remote(folder: Path) -> None:
    """Raises UserError for a URL, which would otherwise become a local folder of that name."""
    if REMOTE.match(str(folder)):
        url = str(folder).replace(":/", "://", 1)
        raise UserError(f"{url!r} is on a remote file system, which only the Beam jobs read and write: copy or mount "
                        "it, and name the local folder")


def write_manifest(folder: Path, kind: str, content: dict[str, Any], *, name: str = MANIFEST) -> None:
    """Writes ``folder/name`` by temporary name and rename; call it after all other files are written."""
    write_text(folder / name, manifest_text(kind, content))


def manifest_text(kind: str, content: dict[str, Any]) -> str:
    """Returns the text of a manifest, for writers to other file systems."""
    return json.dumps({"kind": kind, "code_version": __version__, **content}, indent=2, sort_keys=True) + "\n"


def write_text(path: Path, text: str) -> None:
    """Writes a text file by temporary name and rename."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


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
