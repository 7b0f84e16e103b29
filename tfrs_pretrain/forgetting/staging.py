"""Changing a finished artifact: a copy is edited beside it and takes its place in one step.

Files that do not change are hard links, so a copy costs no space. A file of a copy must never be opened for writing
before it was replaced: the original would change too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfrs_pretrain.output_folders import put_in_place, unfinished_folder


@contextlib.contextmanager
def edited_folder(target: Path) -> Iterator[Path]:
    """Yields a copy of a folder; call ``publish`` in the body to replace the folder with it."""
    resolved = target.resolve()
    with unfinished_folder(resolved.parent, resolved.name) as stage:
        for path in sorted(resolved.rglob("*")):
            copy = stage / path.relative_to(resolved)
            if path.is_dir():
                copy.mkdir()
            else:
                _link(path, copy)
        yield stage


def publish(stage: Path, target: Path) -> None:
    """Replaces a folder with its edited copy."""
    put_in_place(stage, target.resolve(), overwrite=True)


def _link(path: Path, copy: Path) -> None:
    try:
        os.link(path, copy)
    except OSError:  # a file system without links
        shutil.copy2(path, copy)


def new_file(path: Path) -> Path:
    """Removes a file of a copy, and returns its path for writing."""
    path.unlink(missing_ok=True)
    return path


def with_zero_rows(path: Path, rows: np.ndarray) -> int:
    """Sets rows of an array file to zero; a file in which they are zero already is not written.

    Returns:
      Number of rows that were not zero.
    """
    filled = filled_rows(path, rows)
    if len(filled):
        changed = path.with_name(f"{path.name}.new")
        shutil.copyfile(path, changed)
        target: np.ndarray = np.load(changed, mmap_mode="r+")
        target[filled] = 0
        target.flush()  # type: ignore[attr-defined]
        changed.replace(path)
    return len(filled)


def filled_rows(path: Path, rows: np.ndarray) -> np.ndarray:
    """Returns the rows of an array file, among some, that are not zero."""
    array: np.ndarray = np.load(path, mmap_mode="r")
    rows = rows[rows < len(array)]
    is_filled = np.asarray(array[rows] != 0)
    return rows[is_filled.any(axis=tuple(range(1, is_filled.ndim)))]
