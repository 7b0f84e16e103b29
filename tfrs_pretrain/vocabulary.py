"""Id -> row of an embedding table.

Rows ``0 .. oov_rows - 1`` are shared, by hash, by every id that was not admitted; admitted ids follow in the order
(-count, id). Parquet on disk: columns ``id`` and ``count``, in row order, so that rows can be appended later without
moving one.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.value_types import MISSING


class Vocabulary:
    """Admitted ids of one space, in row order.

    Args:
      ids: Arrow int64 or string array [n], unique, without nulls.
      counts: int64 [n], occurrences in the window that built the vocabulary.
      oov_rows: rows shared by all other ids, at least 1.
    """

    def __init__(self, ids: pa.Array, counts: np.ndarray, oov_rows: int):
        if oov_rows < 1 or len(ids) != len(counts) or ids.null_count:
            raise ValueError(f"a vocabulary needs ids without nulls ({ids.null_count} came), a count for each "
                             f"({len(counts)} for {len(ids)}) and at least one shared row ({oov_rows})")
        self.ids = ids
        self.counts = np.asarray(counts, np.int64)
        self.oov_rows = oov_rows

    @classmethod
    def from_counts(cls, ids: pa.Array, counts: np.ndarray, *, oov_rows: int, min_count: int = 1,
                    max_size: int | None = None) -> Vocabulary:
        """Admits ids by count and orders them by (-count, id); ids must be unique."""
        table = pa.table({"id": ids, "count": np.asarray(counts, np.int64)})
        table = table.filter(pa.compute.greater_equal(table["count"], min_count))
        table = table.sort_by([("count", "descending"), ("id", "ascending")]).slice(0, max_size)
        return cls(table["id"].combine_chunks(), table["count"].to_numpy(), oov_rows)

    def extended(self, ids: pa.Array, counts: np.ndarray, *, min_count: int = 1, max_size: int | None = None
                 ) -> Vocabulary:
        """The vocabulary of a later window in which every id of this one keeps its row.

        Known ids take their new count (0 where they did not occur); new ids that are admitted follow in the order
        (-count, id) while there is room below ``max_size``. ``ids`` must be unique and of this vocabulary's type.
        """
        known = self._index.get_indexer(_as_index(ids))
        counts = np.asarray(counts, np.int64)
        updated = np.zeros(len(self.ids), np.int64)
        updated[known[known >= 0]] = counts[known >= 0]
        room = None if max_size is None else max(max_size - len(self.ids), 0)
        new = Vocabulary.from_counts(ids.filter(pa.array(known < 0)), counts[known < 0], oov_rows=self.oov_rows,
                                     min_count=min_count, max_size=room)
        return Vocabulary(pa.concat_arrays([self.ids, new.ids]), np.concatenate([updated, new.counts]), self.oov_rows)

    @property
    def dtype(self) -> str:
        return "int64" if pa.types.is_int64(self.ids.type) else "string"

    @property
    def size(self) -> int:
        """Rows of a table for this vocabulary, shared ones included."""
        return self.oov_rows + len(self.ids)

    @property
    def row_counts(self) -> np.ndarray:
        """int64 [size]: count of the id at each row, 0 at shared rows."""
        return np.concatenate([np.zeros(self.oov_rows, np.int64), self.counts])

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the id at every row: equal digests mean that rows mean the same ids."""
        state = hashlib.sha256(f"{self.dtype}:{self.oov_rows}:{len(self.ids)}:".encode())
        if self.dtype == "int64":
            state.update(self.ids.to_numpy().astype("<i8").tobytes())
        else:
            encoded = [value.encode() for value in self.ids.to_pylist()]
            state.update(np.array([len(value) for value in encoded], "<i8").tobytes())
            state.update(b"".join(encoded))
        return state.hexdigest()

    @functools.cached_property
    def _index(self) -> pd.Index:
        return _as_index(self.ids)

    def rows(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """int64 [n] rows of raw values; null stands for the missing value ("" or -1).

        Raises:
          TypeError: values are of another type than the vocabulary.
        """
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if values.type != self.ids.type:
            raise TypeError(f"this vocabulary holds {self.ids.type}, asked for {values.type}")
        values = values.fill_null(MISSING[self.dtype])
        found = self._index.get_indexer(_as_index(values))
        rows = found + self.oov_rows
        unknown = found < 0
        if unknown.any():
            rows[unknown] = oov_row(values.filter(pa.array(unknown)), self.oov_rows)
        return rows.astype(np.int64)

    def save(self, path: Path) -> None:
        """Writes Parquet; the number of shared rows travels in the file's metadata."""
        table = pa.table({"id": self.ids, "count": self.counts})
        pq.write_table(table.replace_schema_metadata({"oov_rows": str(self.oov_rows)}), path)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Reads what ``save`` wrote.

        Raises:
          UserError: the file is missing or not a vocabulary.
        """
        try:
            table = pq.read_table(path)
            oov_rows = int((table.schema.metadata or {})[b"oov_rows"])
            return cls(table["id"].combine_chunks(), table["count"].to_numpy(), oov_rows)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise UserError(f"vocabulary {str(path)!r} cannot be read ({error}): build the dataset again") from error


def oov_row(values: pa.Array, oov_rows: int) -> np.ndarray:
    """int64 [n]: the shared row of each value, by hash."""
    return (hash_ids(values) % np.uint64(oov_rows)).astype(np.int64)


def _as_index(values: pa.Array) -> pd.Index:
    if pa.types.is_int64(values.type):
        return pd.Index(values.to_numpy(zero_copy_only=False))
    return pd.Index(values.to_numpy(zero_copy_only=False), dtype=object)
