"""The change from one table to the next: rows whose stored bytes differ."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.serving.graph.served_tables import StoredRows

ROWS, VALUES, SCALES = "rows.npy", "values.npy", "scales.npy"
BLOCK_ROWS = 1 << 16


@dataclasses.dataclass(frozen=True)
class TableChange:
    """Rows that changed.

    Attributes:
      num_rows: number of rows of the later table.
      rows: int64 [n], ascending rows.
      stored: their later values.
    """

    num_rows: int
    rows: np.ndarray
    stored: StoredRows

    @classmethod
    def between(cls, earlier: StoredRows, later: StoredRows) -> TableChange:
        """Compares two tables of one dtype and dim by their bytes."""
        common = min(len(earlier.values), len(later.values))
        differ = _differ(earlier.values[:common], later.values[:common])
        if earlier.scales is not None and later.scales is not None:
            differ |= _differ(earlier.scales[:common], later.scales[:common])
        rows = np.concatenate([np.flatnonzero(differ), np.arange(common, len(later.values))]).astype(np.int64)
        return cls(len(later.values), rows, later.take(rows))

    def apply(self, earlier: StoredRows) -> StoredRows:
        """Returns the later table."""
        return StoredRows(self._applied(earlier.values, self.stored.values),
                          None if earlier.scales is None or self.stored.scales is None
                          else self._applied(earlier.scales, self.stored.scales))

    def _applied(self, earlier: np.ndarray, changed: np.ndarray) -> np.ndarray:
        later = np.empty((self.num_rows, earlier.shape[1]), earlier.dtype)
        later[:len(earlier)] = earlier[:self.num_rows]
        later[self.rows] = changed
        return later

    def save(self, folder: Path) -> None:
        """Writes the change."""
        folder.mkdir(parents=True)
        np.save(folder / ROWS, self.rows)
        np.save(folder / VALUES, self.stored.values)
        if self.stored.scales is not None:
            np.save(folder / SCALES, self.stored.scales)

    @classmethod
    def load(cls, folder: Path, summary: dict[str, Any]) -> TableChange:
        """Reads what ``save`` wrote.

        Args:
          folder: folder of the change.
          summary: entry of the delta's manifest, see ``summary``.
        """
        scales = np.load(folder / SCALES) if (folder / SCALES).is_file() else None
        return cls(summary["rows"], np.load(folder / ROWS), StoredRows(np.load(folder / VALUES), scales))

    @property
    def summary(self) -> dict[str, Any]:
        """Counts for the delta's manifest."""
        scale_bytes = 0 if self.stored.scales is None else self.stored.scales.nbytes
        return {"rows": self.num_rows, "changed": len(self.rows),
                "bytes": self.rows.nbytes + self.stored.values.nbytes + scale_bytes}


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bool [n]: any byte of the row differs; unlike ``!=``, it tells -0.0 from 0.0 and finds equal NaN equal."""
    differ = np.zeros(len(one), bool)
    for start in range(0, len(one), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        differ[block] = (_bytes(one[block]) != _bytes(other[block])).any(axis=1)
    return differ


def _bytes(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
