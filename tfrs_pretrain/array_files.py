"""Arrays in numpy's file format, written block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np


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
        np.lib.format.write_array_header_1_0(file, {
            "descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).data)
            written += block.size
    if written != int(np.prod(shape)):
        raise ValueError(f"{path.name}: expected {shape} values, received {written}")
