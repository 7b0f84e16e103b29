"""Arrays that are made when a slice of their rows is read, so that no whole copy of a table is in memory."""

from __future__ import annotations

import abc
import math
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.array_files import BLOCK_ROWS


class RowArray(abc.ABC):
    """An array [num_rows, ...], to be read slice by slice; the order of the slices does not matter.

    ``numpy.asarray`` makes the whole array.

    Args:
      shape: of the array.
      dtype: of the array.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self.shape, self.ndim, self.dtype = shape, len(shape), dtype

    @abc.abstractmethod
    def read(self, start: int, end: int) -> np.ndarray:
        """The rows from ``start`` up to ``end``, as a new array."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: Any) -> np.ndarray:
        """A slice of consecutive rows; any other part is read from the whole array."""
        if isinstance(part, slice) and part.step in (None, 1):
            start, end, _ = part.indices(len(self))
            return self.read(start, max(start, end))
        found: np.ndarray = np.asarray(self)[part]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = np.empty(self.shape, dtype or self.dtype)
        for start in range(0, len(self), BLOCK_ROWS):
            end = min(start + BLOCK_ROWS, len(self))
            whole[start:end] = self.read(start, end)
        return whole


Rows = np.ndarray | RowArray


class NormalRows(RowArray):
    """float32 [num_rows, dim] drawn from a normal distribution with mean 0, the same values for every block size.

    The values come from one sequence of numpy's generator. Reading all rows in order makes it once; a read of earlier
    rows begins it again.

    Args:
      num_rows: number of rows.
      dim: values per row.
      stddev: standard deviation.
      seed: of the generator.
    """

    def __init__(self, num_rows: int, dim: int, stddev: float, seed: int):
        super().__init__((num_rows, dim), np.dtype(np.float32))
        self._stddev, self._seed = np.float32(stddev), seed
        self._generator, self._next = np.random.default_rng(seed), 0

    def read(self, start: int, end: int) -> np.ndarray:
        if start < self._next:
            self._generator, self._next = np.random.default_rng(self._seed), 0
        while self._next < start:
            self._draw(min(start - self._next, BLOCK_ROWS))
        rows = self._draw(end - start)
        rows *= self._stddev
        return rows

    def _draw(self, count: int) -> np.ndarray:
        self._next += count
        return self._generator.standard_normal((count, self.shape[1]), np.float32)


class TakenRows(RowArray):
    """``array[rows]``, read slice by slice.

    Args:
      array: [num_rows, ...], such as one that is memory-mapped.
      rows: int64 [n].
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        super().__init__((len(rows), *array.shape[1:]), array.dtype)
        self._array, self._rows = array, rows

    def read(self, start: int, end: int) -> np.ndarray:
        taken: np.ndarray = self._array[self._rows[start:end]]
        return taken


class FileRows(RowArray):
    """The array of a file in numpy's format. Unlike a memory-mapped one, it leaves no pages in memory.

    Args:
      path: the file; at least one axis, in C order.
    """

    def __init__(self, path: Path):
        mapped = np.load(path, mmap_mode="r")
        super().__init__(mapped.shape, mapped.dtype)
        self._path, self._offset = path, mapped.offset
        self._row_values = math.prod(mapped.shape[1:])

    def read(self, start: int, end: int) -> np.ndarray:
        offset = self._offset + start * self._row_values * self.dtype.itemsize
        values = np.fromfile(self._path, self.dtype, (end - start) * self._row_values, offset=offset)
        return values.reshape(end - start, *self.shape[1:])


class PatchedRows(RowArray):
    """An array with other values in some rows.

    Args:
      array: [num_rows, ...].
      rows: int64 [n], ascending.
      values: [n, ...].
    """

    def __init__(self, array: Rows, rows: np.ndarray, values: Rows):
        super().__init__(array.shape, array.dtype)
        self._array, self._rows, self._values = array, rows, values

    def read(self, start: int, end: int) -> np.ndarray:
        block = np.array(self._array[start:end])
        first, last = np.searchsorted(self._rows, [start, end])
        block[self._rows[first:last] - start] = self._values[first:last]
        return block
