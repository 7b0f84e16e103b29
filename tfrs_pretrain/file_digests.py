"""Digests of files: a manifest lists them, and every reader of a listed file compares it first.

::

    "files": {"tables/user.npy": {"bytes": 4096128, "crc32c": "9ae3c1f0"}, ...}

CRC-32C detects every change within 32 consecutive bits, such as a flipped bit, and misses one of 4e9 other changes. It
protects against damage, not against forgery.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
from rich.text import Text

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import REPEAT
from tfrs_pretrain.progress import error_console

FILES = "files"  # key of a manifest
BLOCK_BYTES = 1 << 18  # fits into the cache of a core
CLOCK_TICK = 1.0  # seconds; a file that changed less than this ago may change again without a new time

FileDigest = dict[str, Any]

# Digests of files that this process has read, so that no command reads a large file twice only to check it. The key
# changes when a file is written or replaced.
_known: dict[tuple[str, int, int, int], FileDigest] = {}
_reported: set[Path] = set()


def describe_content(file: BinaryIO) -> FileDigest:
    """Returns size and CRC-32C (hexadecimal) of the rest of an open file."""
    size, checksum = 0, 0
    while block := file.read(BLOCK_BYTES):
        size, checksum = size + len(block), google_crc32c.extend(checksum, block)
    return {"bytes": size, "crc32c": f"{checksum:08x}"}


def describe_folder(folder: Path, *, without: Path | None = None) -> dict[str, FileDigest]:
    """Returns the digest of each file below a folder, by its relative path, except of the file ``without``."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != without)
    return {path.relative_to(folder).as_posix(): _describe_file(path) for path in paths}


def checked_file(folder: Path, manifest: Mapping[str, Any], name: str) -> Path:
    """Returns the path of an artifact's file after comparing the file with its manifest.

    A file that this process has compared before is read again only if its size or time has changed.

    Args:
      folder: folder that the manifest's paths are relative to.
      manifest: manifest of the artifact. That of an older version lists no files; a notice says that none is checked.
      name: path of the file relative to the folder.

    Raises:
      UserError: the file is missing, is not listed or has changed.
    """
    path = folder / name
    if manifest.get(FILES) is None:
        _report_unchecked(folder)
    elif name not in manifest[FILES]:
        raise UserError(f"{str(path)!r} is not among the files that the manifest lists: {REPEAT}")
    else:
        compare(str(path), manifest[FILES][name], _describe_file(path) if path.is_file() else None)
    return path


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compares all files of an artifact with its manifest; arguments and errors as for ``checked_file``."""
    if manifest.get(FILES) is None:
        _report_unchecked(folder)
    for name in manifest.get(FILES) or ():
        checked_file(folder, manifest, name)


def compare(path: str, expected: Mapping[str, Any], found: Mapping[str, Any] | None) -> None:
    """Compares the digest of a file with the manifest's.

    Args:
      path: path for the message.
      expected: entry of the manifest, with ``bytes`` and ``crc32c``.
      found: digest of the file; None: there is no file.

    Raises:
      UserError: they differ.
    """
    if not found or any(expected[key] != found[key] for key in ("bytes", "crc32c")):
        what = f"found {found['bytes']} bytes with {found['crc32c']}; the file changed after it was written" \
            if found else "found no file"
        raise UserError(f"{path!r}: expected {expected['bytes']} bytes with CRC-32C {expected['crc32c']}, {what}: "
                        f"restore a copy, or {REPEAT}")


def _describe_file(path: Path) -> FileDigest:
    state = path.stat()
    key = str(path.absolute()), state.st_ino, state.st_size, state.st_mtime_ns
    if key not in _known:
        with path.open("rb", buffering=0) as file:
            found = describe_content(file)
        if time.time() - state.st_mtime < CLOCK_TICK:
            return found
        _known[key] = found
    return _known[key]


def _report_unchecked(folder: Path) -> None:
    if folder not in _reported:
        _reported.add(folder)
        error_console.print(Text(f"! {str(folder)!r} was written by an older version, without digests of its files: "
                                 "they are not checked", style="yellow"), soft_wrap=True)
