"""Output folders: filled under a temporary name beside the target, then put in its place.

A killed writer leaves the old folder or the new one under the target's name, complete. Its leftovers have hidden names,
and the next writer to the target removes them::

    .<name>.unfinished-<token>   being written or deleted; a running writer holds its lock
    .<name>.replaced-<token>     the old folder between two renames, complete; ``recover`` restores it

Single files are written in the same way, see ``unfinished_file``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.system_errors import naming

REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one slash: Path removes the other
UNFINISHED, REPLACED = "unfinished", "replaced"
HAS_CONTENT = (errno.ENOTEMPTY, errno.EEXIST)
# From Linux's fcntl.h and fs.h
AT_FDCWD, RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def staged_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty temporary folder beside ``target`` and puts it in the target's place when the body succeeds.

    Raises:
      UserError: ``target`` has content and ``overwrite`` is false, also if another process has written it meanwhile; or
        it is not a folder that can be replaced.
    """
    refuse_existing(target, overwrite=overwrite)
    target = _followed(target)
    with unfinished_folder(target.parent, target.name) as temporary:
        yield temporary
        put_in_place(temporary, target, overwrite=overwrite)


@contextlib.contextmanager
def unfinished_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yields an empty folder ``.<name>.unfinished-<token>`` and removes it, unless the body renamed it.

    A writer locks its folder while it runs. Unlocked folders, left by killed writers, are removed first.

    Raises:
      OSError: the disk is full, or the system refuses something else; the error names ``parent / name``.
    """
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent / name)
    with naming(parent / name):
        temporary, lock = _locked_sibling(parent / name, Path.mkdir)
    try:
        with naming(parent / name):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def unfinished_file(target: Path) -> Iterator[Path]:
    """Like ``unfinished_folder``, for a file beside ``target``."""
    remove_leftovers(target)
    with naming(target):
        temporary, lock = _locked_sibling(target, Path.touch)
    try:
        with naming(target):
            yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(lock)


def put_in_place(folder: Path, target: Path, *, overwrite: bool) -> None:
    """Renames a complete folder to ``target``; ``folder`` may have the old content afterwards.

    Old content is replaced in one step where the file system can exchange two folders, elsewhere in two renames.

    Raises:
      UserError: ``target`` has content and ``overwrite`` is false.
    """
    while not _renamed(folder, target):
        if not overwrite:
            raise UserError(f"output folder {str(target)!r} was written by another process meanwhile: pass --overwrite "
                            "to replace it, or name another")
        if exchange(folder, target):
            return
        if _renamed_twice(folder, target):
            remove_leftovers(target)
            return


def exchange(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step; returns false where the system or the file system cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return int(rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)) == 0


def _renamed(folder: Path, target: Path) -> bool:
    """Renames a folder unless the target has content."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in HAS_CONTENT:
            return False
        raise
    return True


def _renamed_twice(folder: Path, target: Path) -> bool:
    """Sets the target aside and renames the folder, unless another process fills the target between the two renames."""
    target.rename(_hidden(target, REPLACED))
    return _renamed(folder, target)


def recover(target: Path) -> None:
    """Restores a missing folder that a killed writer had set aside.

    A writer that is still between its two renames finds the target filled, and sets it aside again.
    """
    target = _followed(target)
    for aside in [] if target.exists() else sorted(_siblings(target, REPLACED), key=_written, reverse=True):
        # The rename fails if another process has restored a folder, or on a read-only file system.
        with contextlib.suppress(OSError):
            aside.rename(target)


def remove_folder(folder: Path) -> None:
    """Deletes a folder under another name: if this process is killed, nothing is left that looks finished."""
    doomed = _hidden(folder, UNFINISHED)
    with contextlib.suppress(OSError):
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    remove_leftovers(folder)


def remove_leftovers(target: Path) -> None:
    """Deletes what killed writers left beside ``target``, unless ``recover`` still needs it."""
    target = _followed(target)
    for folder in _siblings(target, REPLACED):
        with contextlib.suppress(OSError):
            if target.exists():
                folder.rename(_hidden(target, UNFINISHED))  # what a killed deletion leaves must not be restored
    for path in _siblings(target, UNFINISHED):
        _remove_if_abandoned(path)


def _remove_if_abandoned(path: Path) -> None:
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError:
        return  # the writer has finished
    try:
        with contextlib.suppress(OSError):  # the writer is running
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    finally:
        os.close(lock)


def _locked_sibling(target: Path, create: Callable[[Path], None]) -> tuple[Path, int]:
    while True:
        path = _hidden(target, UNFINISHED)
        create(path)
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        with contextlib.suppress(OSError):  # a file system without locks: leftovers stay
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another writer may have removed it as abandoned before it was locked.
        if path.exists():
            return path, lock
        os.close(lock)


def _hidden(target: Path, state: str) -> Path:
    return target.with_name(f".{target.name}.{state}-{uuid.uuid4().hex[:8]}")


def _siblings(target: Path, state: str) -> list[Path]:
    prefix = f".{target.name}.{state}-"
    try:
        return [path for path in target.parent.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return []


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # another process has restored it


def _followed(target: Path) -> Path:
    """The folder that a symbolic link names: it is replaced, not the link."""
    return target.resolve() if target.is_symlink() else target


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
    """Raises UserError if ``target`` cannot be replaced, or is a folder with content that must not be replaced."""
    refuse_remote(target)
    refuse_working_folder(target)
    if target.exists() and not target.is_dir():
        raise UserError(f"output {str(target)!r} is a file: name a folder")
    if target.is_mount():
        raise UserError(f"output folder {str(target)!r} is a mount point, which cannot be replaced: name a folder in "
                        "it")
    recover(target)
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
