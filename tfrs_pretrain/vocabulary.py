"""Vocabularies, which map ids to rows of an embedding table.

Ids that are not in the vocabulary share rows ``0 .. oov_rows - 1`` by hash; the ids of the vocabulary follow in the
order (-count, id). The Parquet file has the columns ``id`` and ``count`` in row order, so that new ids can be appended
without moving a row. A row whose id is null is free: it belonged to an id that was evicted or forgotten, and may be
given to another id.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.id_arrays import require_int32_rows, single_array, sortable, utf8_bytes
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.lifetimes import Lifetimes


class Vocabulary:
    """Ids of one space, in row order.

    Args:
      ids: Arrow int64, string or large_string array [n], unique; null at free rows.
      counts: int64 [n], occurrences in the window from which the vocabulary was built; 0 at free rows. With lifetimes,
        the decayed counts, rounded.
      oov_rows: number of rows shared by all other ids, at least 1.
      lifetimes: of the ids; None if the vocabulary has no life cycle.
      forgotten: number of ids that ``with_freed`` removed since the vocabulary was built.

    Raises:
      ValueError: ids and counts differ in length, a free row has a count, or there is no shared row.
      UserError: there are more than MAX_ROWS rows.
    """

    def __init__(self, ids: pa.Array, counts: np.ndarray, oov_rows: int, lifetimes: Lifetimes | None = None,
                 forgotten: int = 0):
        if oov_rows < 1 or len(ids) != len(counts):
            raise ValueError(f"a vocabulary needs a count for each id ({len(counts)} for {len(ids)}) and at least one "
                             f"shared row ({oov_rows})")
        require_int32_rows(oov_rows + len(ids))
        self.ids = ids
        self.counts = np.asarray(counts, np.int64)
        self.oov_rows = oov_rows
        self.lifetimes, self.forgotten = lifetimes, forgotten
        self._lookup_file: Callable[[], Path] | None = None
        counted = self.free[self.counts[self.free - oov_rows] != 0]
        if len(counted):
            raise ValueError(f"free rows have no count, but {len(counted)} have one, the first is row {counted[0]}")

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
          UserError: the admitted ids need more than MAX_ROWS rows.
        """
        table = pa.table({"id": ids, "count": np.asarray(counts, np.int64)})
        table = table.filter(pc.greater_equal(table["count"], min_count))
        require_int32_rows(oov_rows + (table.num_rows if max_size is None else min(table.num_rows, max_size)))
        table = table.set_column(0, "id", sortable(table["id"]))
        table = table.sort_by([("count", "descending"), ("id", "ascending")]).slice(0, max_size)
        return cls(single_array(table["id"]), table["count"].to_numpy(), oov_rows)

    def with_freed(self, rows: np.ndarray) -> Vocabulary:
        """Builds the vocabulary without the ids of some rows, which are forgotten; all other rows are unchanged.

        Args:
          rows: int64 [n], rows of ids or free rows.

        Raises:
          ValueError: a row is shared or does not exist.
        """
        rows = np.asarray(rows, np.int64)
        if len(rows) and not (self.oov_rows <= rows.min() and rows.max() < self.num_rows):
            raise ValueError(f"expected rows from {self.oov_rows} to {self.num_rows - 1}, received {rows.min()} to "
                             f"{rows.max()}")
        is_freed = np.zeros(len(self.ids), bool)
        is_freed[rows - self.oov_rows] = True
        ids = pc.if_else(pa.array(is_freed), pa.scalar(None, self.ids.type), self.ids)
        lifetimes = self.lifetimes and self.lifetimes.with_freed(is_freed)
        forgotten = self.forgotten + int((is_freed & ~self.is_free).sum())
        return Vocabulary(ids, np.where(is_freed, 0, self.counts), self.oov_rows, lifetimes, forgotten)

    @property
    def dtype(self) -> str:
        """Type of the raw ids: "int64" or "string"."""
        return "int64" if pa.types.is_int64(self.ids.type) else "string"

    @property
    def num_rows(self) -> int:
        """Number of rows of a table for this vocabulary, including shared and free rows."""
        return self.oov_rows + len(self.ids)

    @property
    def num_ids(self) -> int:
        """Number of ids that have a row."""
        return len(self.ids) - int(self.ids.null_count)

    @functools.cached_property
    def id_rows(self) -> np.ndarray:
        """int64 [num_ids]: the rows that belong to one id, ascending."""
        rows: np.ndarray = np.flatnonzero(self.ids.is_valid().to_numpy(zero_copy_only=False)) + self.oov_rows
        return rows

    @functools.cached_property
    def free(self) -> np.ndarray:
        """int64 [n]: the rows that belong to no id, ascending."""
        rows: np.ndarray = np.flatnonzero(self.is_free) + self.oov_rows
        return rows

    @property
    def is_free(self) -> np.ndarray:
        """bool [n] without the shared rows: the row belongs to no id."""
        free: np.ndarray = self.ids.is_null().to_numpy(zero_copy_only=False)
        return free

    @property
    def known_ids(self) -> pa.Array:
        """The ids without the nulls of free rows, Arrow array [num_ids], in the order of ``id_rows``."""
        return self.ids.drop_null() if self.ids.null_count else self.ids

    @property
    def row_counts(self) -> np.ndarray:
        """int64 [num_rows]: count of the id at each row, 0 at shared and free rows."""
        return np.concatenate([np.zeros(self.oov_rows, np.int64), self.counts])

    @functools.cached_property
    def occurring(self) -> np.ndarray:
        """bool [num_rows]: the row belongs to one id that occurs in the newest window."""
        if self.lifetimes is None:
            return np.asarray(self.row_counts > 0)
        seen = ~self.is_free & (self.lifetimes.last == self.lifetimes.window)
        return np.append(np.zeros(self.oov_rows, bool), seen)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the id at every row: tables with equal digests have the same id at each row."""
        state = hashlib.sha256(f"{self.dtype}:{self.oov_rows}:{len(self.ids)}:".encode())
        ids = self.ids.fill_null(0 if self.dtype == "int64" else "")
        if self.dtype == "int64":
            state.update(ids.to_numpy().astype("<i8", copy=False))
        else:
            state.update(pc.binary_length(ids).to_numpy().astype("<i8"))
            state.update(utf8_bytes(ids))
        if len(self.free):  # free rows differ from rows of the id that fills the nulls
            state.update(b":free:" + self.free.astype("<i8").tobytes())
        return state.hexdigest()

    @functools.cached_property
    def id_lookup(self) -> IdLookup:
        """Maps ids to rows; built in memory if the vocabulary was loaded without a look-up file.

        Raises:
          UserError: the file belongs to another vocabulary, or an id has two rows.
        """
        if self._lookup_file:
            return IdLookup.open(self._lookup_file(), self.digest)
        return IdLookup.from_ids(self.known_ids, self.id_rows, oov_rows=self.oov_rows, num_rows=self.num_rows,
                                 digest=self.digest)

    def lookup(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Maps raw values to rows, see ``IdLookup.lookup``."""
        return self.id_lookup.lookup(values)

    def table(self) -> pa.Table:
        """Returns the content of the file; its metadata contains the number of shared rows."""
        columns, metadata = {"id": self.ids, "count": self.counts}, {"oov_rows": str(self.oov_rows)}
        if self.lifetimes:
            columns, metadata = columns | self.lifetimes.columns(), metadata | self.lifetimes.metadata()
        if self.forgotten:
            metadata["forgotten"] = str(self.forgotten)
        return pa.table(columns).replace_schema_metadata(metadata)

    @classmethod
    def from_table(cls, table: pa.Table) -> Vocabulary:
        """Builds a vocabulary from the content of a file.

        Raises:
          KeyError, ValueError: a column or the metadata is missing or unreadable.
        """
        metadata = table.schema.metadata or {}
        return cls(single_array(table["id"]), table["count"].to_numpy(), int(metadata[b"oov_rows"]),
                   Lifetimes.from_table(table, metadata), int(metadata.get(b"forgotten", 0)))

    def save(self, path: Path) -> None:
        """Writes a Parquet file."""
        pq.write_table(self.table(), path)

    @classmethod
    def load(cls, path: Path, lookup_file: Callable[[], Path] | None = None) -> Vocabulary:
        """Reads a file that ``save`` wrote.

        Args:
          path: the file.
          lookup_file: returns the local look-up file of this vocabulary; called for the first look-up.

        Raises:
          UserError: the file is missing or not a vocabulary.
        """
        try:
            vocabulary = cls.from_table(pq.read_table(path))
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise UserError(f"vocabulary {str(path)!r} cannot be read ({error}): build the dataset again") from error
        vocabulary._lookup_file = lookup_file
        return vocabulary


def occurring_rows(file: BinaryIO) -> np.ndarray:
    """Reads ``Vocabulary.occurring`` from an open vocabulary file without loading its ids."""
    parquet = pq.ParquetFile(file)
    metadata = parquet.schema_arrow.metadata
    column, newest = Lifetimes.newest_window(metadata)
    parts = [np.zeros(int(metadata[b"oov_rows"]), bool)]
    for batch in parquet.iter_batches(columns=[column or "count"]):
        values = batch.column(0).to_numpy()
        parts.append(values == newest if column else values > 0)
    return np.concatenate(parts)
