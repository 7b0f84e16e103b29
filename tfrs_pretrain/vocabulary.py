"""Vocabularies, which map ids to rows of an embedding table.

Ids that are not in the vocabulary share rows ``0 .. oov_rows - 1`` by hash; the ids of the vocabulary follow in the
order (-count, id). The Parquet file has the columns ``id`` and ``count`` in row order, so that new ids can be appended
without moving a row.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.value_types import MISSING

MAX_TEXT_BYTES = 2**31 - 1  # an Arrow string array has 32-bit offsets


class Vocabulary:
    """Ids of one space, in row order.

    Args:
      ids: Arrow int64 or string array [n], unique, without nulls.
      counts: int64 [n], occurrences in the window from which the vocabulary was built.
      oov_rows: number of rows shared by all other ids, at least 1.

    Raises:
      ValueError: ids contain nulls, ids and counts differ in length, or there is no shared row.
    """

    def __init__(self, ids: pa.Array, counts: np.ndarray, oov_rows: int):
        if oov_rows < 1 or len(ids) != len(counts) or ids.null_count:
            raise ValueError(f"a vocabulary needs ids without nulls (received {ids.null_count} nulls), a count for "
                             f"each id ({len(counts)} for {len(ids)}) and at least one shared row ({oov_rows})")
        self.ids = ids
        self.counts = np.asarray(counts, np.int64)
        self.oov_rows = oov_rows

    @classmethod
    def from_counts(cls, ids: pa.Array | pa.ChunkedArray, counts: np.ndarray, *, oov_rows: int, min_count: int = 1,
                    max_size: int | None = None) -> Vocabulary:
        """Builds a vocabulary from counts.

        Args:
          ids: Arrow array [n], unique.
          counts: int64 [n], occurrences of each id.
          oov_rows: number of shared rows.
          min_count: occurrences that admit an id.
          max_size: maximum number of ids, most frequent first (None: no limit).

        Raises:
          UserError: the admitted ids have more than MAX_TEXT_BYTES of text.
        """
        table = pa.table({"id": ids, "count": np.asarray(counts, np.int64)})
        table = table.filter(pc.greater_equal(table["count"], min_count))
        if text_bytes(table["id"]) > MAX_TEXT_BYTES:  # sorting gathers the ids of all chunks in one array
            table = table.set_column(0, "id", table["id"].cast(pa.large_string()))
        table = table.sort_by([("count", "descending"), ("id", "ascending")]).slice(0, max_size)
        return cls(single_array(table["id"].cast(ids.type)), table["count"].to_numpy(), oov_rows)

    def extended(self, ids: pa.Array, counts: np.ndarray, *, min_count: int = 1, max_size: int | None = None
                 ) -> Vocabulary:
        """Builds the vocabulary of a later window, in which every id of this one keeps its row.

        Known ids take their new count (0 if they did not occur). New ids follow in the order (-count, id).

        Args:
          ids: Arrow array [n] of this vocabulary's type, unique.
          counts: int64 [n], occurrences in the later window.
          min_count: occurrences that admit a new id.
          max_size: maximum number of ids, known ones included (None: no limit).

        Raises:
          UserError: the ids have more than MAX_TEXT_BYTES of text.
        """
        known = self._index.get_indexer(_as_index(ids))
        counts = np.asarray(counts, np.int64)
        updated = np.zeros(len(self.ids), np.int64)
        updated[known[known >= 0]] = counts[known >= 0]
        room = None if max_size is None else max(max_size - len(self.ids), 0)
        new = Vocabulary.from_counts(ids.filter(pa.array(known < 0)), counts[known < 0], oov_rows=self.oov_rows,
                                     min_count=min_count, max_size=room)
        ids = single_array(pa.chunked_array([self.ids, new.ids]))
        return Vocabulary(ids, np.concatenate([updated, new.counts]), self.oov_rows)

    @property
    def dtype(self) -> str:
        """Type of the raw ids: "int64" or "string"."""
        return "int64" if pa.types.is_int64(self.ids.type) else "string"

    @property
    def num_rows(self) -> int:
        """Number of rows of a table for this vocabulary, including shared rows."""
        return self.oov_rows + len(self.ids)

    @property
    def row_counts(self) -> np.ndarray:
        """int64 [num_rows]: count of the id at each row, 0 at shared rows."""
        return np.concatenate([np.zeros(self.oov_rows, np.int64), self.counts])

    @functools.cached_property
    def occurring(self) -> np.ndarray:
        """bool [num_rows]: the row belongs to one id that occurs in the window of the counts; false at shared rows."""
        occurring: np.ndarray = self.row_counts > 0
        return occurring

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the id at every row: tables with equal digests have the same id at each row."""
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

    def lookup(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Maps raw values to rows.

        Args:
          values: Arrow array [n] of the vocabulary's type; null stands for the missing value ("" or -1).

        Returns:
          int64 [n] rows.

        Raises:
          TypeError: values are of another type than the vocabulary.
        """
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if values.type != self.ids.type:
            raise TypeError(f"expected values of type {self.ids.type}, as in this vocabulary, received {values.type}")
        values = values.fill_null(MISSING[self.dtype])
        positions = self._index.get_indexer(_as_index(values))
        rows = positions + self.oov_rows
        unknown = positions < 0
        if unknown.any():
            rows[unknown] = hash_to_oov_row(values.filter(pa.array(unknown)), self.oov_rows)
        return rows.astype(np.int64)

    def save(self, path: Path) -> None:
        """Writes a Parquet file; its metadata contains the number of shared rows."""
        table = pa.table({"id": self.ids, "count": self.counts})
        pq.write_table(table.replace_schema_metadata({"oov_rows": str(self.oov_rows)}), path)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Reads a file that ``save`` wrote.

        Raises:
          UserError: the file is missing or not a vocabulary.
        """
        try:
            table = pq.read_table(path)
            oov_rows = int((table.schema.metadata or {})[b"oov_rows"])
            return cls(table["id"].combine_chunks(), table["count"].to_numpy(), oov_rows)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise UserError(f"vocabulary {str(path)!r} cannot be read ({error}): build the dataset again") from error


def single_array(ids: pa.ChunkedArray) -> pa.Array:
    """Concatenates the chunks of ids.

    Raises:
      UserError: they have more than MAX_TEXT_BYTES of text.
    """
    if text_bytes(ids) > MAX_TEXT_BYTES:
        raise UserError(f"{len(ids)} string ids have {text_bytes(ids)} bytes of text, and one vocabulary contains at "
                        f"most {MAX_TEXT_BYTES}: raise min_count, set max_size, or use int64 ids")
    return ids.combine_chunks()


def text_bytes(ids: pa.Array | pa.ChunkedArray) -> int:
    """Returns the size of string ids without their offsets; 0 for int64."""
    if pa.types.is_int64(ids.type):
        return 0
    return int(pc.sum(pc.binary_length(ids)).as_py() or 0)


def hash_to_oov_row(values: pa.Array, oov_rows: int) -> np.ndarray:
    """Returns the shared row of each value, int64 [n], by hash."""
    return (hash_ids(values) % np.uint64(oov_rows)).astype(np.int64)


def _as_index(values: pa.Array) -> pd.Index:
    dtype = None if pa.types.is_int64(values.type) else object
    index: pd.Index = pd.Index(values.to_numpy(zero_copy_only=False), dtype=dtype)
    return index
