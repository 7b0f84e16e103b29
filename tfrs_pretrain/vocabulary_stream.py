"""Writes a vocabulary and its look-up file from batches of ids in row order, without all ids in memory."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_pretrain.hash_order import in_hash_order_on_disk
from tfrs_pretrain.id_arrays import require_int32_rows, utf8_bytes
from tfrs_pretrain.id_lookup import write_parts
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_lifecycle import begin

ROW_GROUP = 1 << 20  # rows, as ``pyarrow.parquet.write_table`` divides a table

Batches = Callable[[], Iterator[pa.Table]]


@dataclasses.dataclass(frozen=True)
class VocabularyStream:
    """Ids of a new vocabulary.

    Attributes:
      batches: returns the ids in row order, as tables with the columns id (of one type) and count (int64); called
        several times.
      num_ids: number of all ids.
      oov_rows: number of shared rows.
      window_end: end of the window in which the ids were counted; None: the vocabulary has no life cycle.
    """

    batches: Batches
    num_ids: int
    oov_rows: int
    window_end: int | None = None

    def save(self, path: Path) -> None:
        """Writes the file that ``Vocabulary.save`` would write.

        Raises:
          UserError: there are more than MAX_ROWS rows.
        """
        require_int32_rows(self.oov_rows + self.num_ids)
        writer = None
        for batch in _regrouped(self.batches(), ROW_GROUP):
            part = Vocabulary(batch["id"].combine_chunks(), batch["count"].to_numpy(), self.oov_rows)
            table = (part if self.window_end is None else begin(part, self.window_end)).table()
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
        assert writer is not None, "an empty vocabulary has one empty batch"
        writer.close()

    def save_lookup(self, path: Path) -> None:
        """Writes the look-up file."""
        dtype = "int64" if pa.types.is_int64(next(self.batches())["id"].type) else "string"
        parts = in_hash_order_on_disk(self._ids_with_rows(), self.num_ids)
        write_parts(path, parts, dtype=dtype, oov_rows=self.oov_rows, num_rows=self.oov_rows + self.num_ids,
                    digest=self._digest(dtype))

    def _ids_with_rows(self) -> Iterator[tuple[pa.Array, np.ndarray]]:
        start = self.oov_rows
        for ids in self._ids():
            yield ids, np.arange(start, start + len(ids))
            start += len(ids)

    def _ids(self) -> Iterator[pa.Array]:
        for batch in self.batches():
            yield from batch["id"].chunks

    def _digest(self, dtype: str) -> str:
        """Computes ``Vocabulary.digest``."""
        state = hashlib.sha256(f"{dtype}:{self.oov_rows}:{self.num_ids}:".encode())
        for ids in self._ids():
            numbers = ids if dtype == "int64" else pc.binary_length(ids)
            state.update(numbers.to_numpy().astype("<i8", copy=False))
        for ids in self._ids() if dtype == "string" else ():
            state.update(utf8_bytes(ids))
        return state.hexdigest()


def _regrouped(batches: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Yields the rows of some tables in tables of ``size`` rows, the last one shorter; at least one table."""
    pending: pa.Table | None = None
    for batch in batches:
        pending = pa.concat_tables([pending, batch]) if pending is not None else batch
        while pending.num_rows > size:
            yield pending.slice(0, size)
            pending = pending.slice(size)
    if pending is not None:
        yield pending
