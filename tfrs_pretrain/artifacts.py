"""Folders with a manifest: how each stage hands its result to the next.

A writer fills a temporary folder, writes the manifest there last and renames the folder into place, so that a killed
job leaves nothing that looks finished. A reader goes through ``read_manifest`` only.
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

REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one slash: a Path has lost the other


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

    While its writer lives, it holds a lock on the folder. Folders without, of writers that were killed, are removed
    here; those of others that are at work stay.
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
        with contextlib.suppress(OSError):  # where a file system has no locks, nobody removes what others left
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another writer may have found the folder before it was locked, and taken it for abandoned.
        if folder.exists():
            return folder, lock
        os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # its writer finished meanwhile
    try:
        with contextlib.suppress(OSError):  # its writer lives
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raises UserError where writing to ``target`` would replace something that nobody offered for replacement."""
    refuse_remote(target)
    if target.exists() and not target.is_dir():
        raise UserError(f"output {str(target)!r} is a file: name a folder")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise UserError(f"output folder {str(target)!r} is not empty: pass --overwrite to replace it, or name another")


def refuse_remote(folder: Path) -> None:
    """Raises UserError for a URL, which as a path would be a local folder of that name."""
    if REMOTE.match(str(folder)):
        url = str(folder).replace(":/", "://", 1)
        raise UserError(f"{url!r} is on a remote file system, which only the Beam jobs read and write: copy or mount "
                        "it, and name the local folder")


def write_manifest(folder: Path, kind: str, content: dict[str, Any], *, name: str = MANIFEST) -> None:
    """Writes ``folder/name`` by temporary name and rename; call it after everything else in the folder is in place."""
    write_text(folder / name, manifest_text(kind, content))


def manifest_text(kind: str, content: dict[str, Any]) -> str:
    """The text of a manifest, for writers on other file systems."""
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


def read_notes(path: Path) -> dict[str, Any]:
    """What an earlier command wrote with ``write_text`` as a JSON object; empty where there is no file.

    Raises:
      UserError: the file holds something else.
    """
    if not path.is_file():
        return {}
    try:
        notes = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{str(path)!r} is not readable JSON ({error}): put a copy of it back, or remove it and lose "
                        "what it counts") from error
    if not isinstance(notes, dict):
        raise UserError(f"{str(path)!r} holds a {type(notes).__name__}, not an object: remove it")
    return notes


def read_manifest(folder: Path, *kinds: str, name: str = MANIFEST) -> dict[str, Any]:
    """The manifest of a finished artifact of one of the kinds, the usual one first.

    Raises:
      UserError: the folder is missing, has no manifest (its writer did not finish), or holds another kind.
    """
    kind = kinds[0]
    refuse_remote(folder)
    if not folder.is_dir():
        raise UserError(f"{kind} folder {str(folder)!r} does not exist: run the stage that writes it, or mend the path")
    path = folder / name
    if not path.is_file():
        raise UserError(f"{str(folder)!r} has no {name}, so it is no finished {kind}: the run that wrote it did not "
                        "finish (run it again), or it is another folder")
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{str(path)!r} is not readable JSON ({error}): run the stage that writes it again") from error
    came = manifest.get("kind") if isinstance(manifest, dict) else None
    if came not in kinds:
        expected = " or ".join(map(repr, kinds))
        raise UserError(f"{str(folder)!r} holds {came!r}, expected {expected}: name the right folder")
    return dict(manifest)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(content: Any) -> str:
    """SHA-256 of a JSON value, independent of key order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
