"""Arrays in numpy's file format, written and read block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

BLOCK_ROWS = 1 << 15  # rows that are read or written at once: 8 MB at 64 columns
WRITERS = min(4, os.cpu_count() or 1)  # threads that write one file; each has one block in memory


class BlockwiseArray(Protocol):
    """An array that exists in parts only, such as a table on several devices."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Consecutive parts along the first axis."""


def write_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, blocks: Iterable[np.ndarray]) -> None:
    """Write the file that ``np.save`` writes for a whole array, while only one block is in memory.

    Args:
      path: the file.
      shape: of the whole array.
      dtype: of the array.
      blocks: consecutive parts of the array along its first axis.

    Raises:
      ValueError: the blocks have another number of values than the shape.
    """
    written = 0
    with path.open("wb") as file:
        _write_header(file, shape, dtype)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).data)
            written += block.size
    if written != int(np.prod(shape)):
        raise ValueError(f"{path.name}: expected {shape} values, received {written}")


def write_array_in_parallel(path: Path, shape: tuple[int, ...], dtype: np.dtype, read: Callable[[int, int], np.ndarray],
                            block_rows: int) -> None:
    """Write the same file as ``write_array``; several threads make and write blocks, each has one in memory.

    Args:
      path: the file.
      shape: of the whole array, at least one axis.
      dtype: of the array.
      read: maps the first row of a block, and the row after its last, to the block; called in threads.
      block_rows: rows of a block.
    """
    row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
    with path.open("wb") as file:
        _write_header(file, shape, dtype)
        file.flush()
        header_bytes = file.tell()

        def write(start: int) -> None:
            block = np.ascontiguousarray(read(start, min(start + block_rows, shape[0])), dtype)
            _write_at(file.fileno(), block, header_bytes + start * row_bytes)

        with ThreadPoolExecutor(WRITERS) as pool:  # waits for its threads before the file is closed
            for _ in pool.map(write, range(0, shape[0], block_rows)):
                pass


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> None:
    np.lib.format.write_array_header_1_0(file, {
        "descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})


def _write_at(descriptor: int, block: np.ndarray, offset: int) -> None:
    content = block.data.cast("B")
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written
