"""Writes a vocabulary and its look-up file from batches of ids in row order, without all ids in memory."""

from __future__ import annotations

import abc
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_pretrain.hash_order import in_hash_order_on_disk
from tfrs_pretrain.id_arrays import require_int32_rows, text_bytes, text_type, utf8_bytes
from tfrs_pretrain.id_lookup import write_parts
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_lifecycle import begin

ROW_GROUP = 1 << 20  # rows, as ``pyarrow.parquet.write_table`` divides a table

Batches = Callable[[], Iterator[pa.Table]]


class VocabularyWriter(abc.ABC):
    """A vocabulary that is written in parts.

    Attributes:
      oov_rows: number of shared rows.
    """

    oov_rows: int

    @abc.abstractmethod
    def parts(self) -> Iterator[Vocabulary]:
        """Yields the rows in order, as vocabularies of some rows; called several times. There is at least one part."""

    @functools.cached_property
    def _sizes(self) -> tuple[int, int, int]:
        """Number of ids, of rows without the shared ones, and of bytes of text."""
        ids, rows, text = zip(*((part.num_ids, len(part.ids), text_bytes(part.ids)) for part in self.parts()),
                              strict=True)
        return sum(ids), sum(rows), sum(text)

    def save(self, path: Path) -> None:
        """Writes the file that ``Vocabulary.save`` would write.

        Raises:
          UserError: there are more than MAX_ROWS rows.
        """
        require_int32_rows(self.oov_rows + self._sizes[1])
        writer = None
        for table in _regrouped(self._tables(), ROW_GROUP):
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
        assert writer is not None, "an empty vocabulary has one empty part"
        writer.close()

    def _tables(self) -> Iterator[pa.Table]:
        for part in self.parts():
            table = part.table()
            ids = table["id"] if part.dtype == "int64" else table["id"].cast(text_type(self._sizes[2]))
            yield table.set_column(0, "id", ids)

    def save_lookup(self, path: Path) -> None:
        """Writes the look-up file."""
        dtype, (num_ids, num_rows, _) = next(self.parts()).dtype, self._sizes
        write_parts(path, in_hash_order_on_disk(self._ids_with_rows(), num_ids), dtype=dtype, oov_rows=self.oov_rows,
                    num_rows=self.oov_rows + num_rows, digest=self._digest(dtype))

    def _ids_with_rows(self) -> Iterator[tuple[pa.Array, np.ndarray]]:
        start = 0
        for part in self.parts():
            yield part.known_ids, part.id_rows + start
            start += len(part.ids)

    def _digest(self, dtype: str) -> str:
        """Computes ``Vocabulary.digest``."""
        state = hashlib.sha256(f"{dtype}:{self.oov_rows}:{self._sizes[1]}:".encode())
        start, free = 0, [np.empty(0, np.int64)]
        for part in self.parts():
            ids = part.ids.fill_null(0 if dtype == "int64" else "")
            numbers = ids if dtype == "int64" else pc.binary_length(ids)
            state.update(numbers.to_numpy().astype("<i8", copy=False))
            free.append(part.free + start)
            start += len(part.ids)
        for part in self.parts() if dtype == "string" else ():
            state.update(utf8_bytes(part.ids.fill_null("")))
        if rows := np.concatenate(free).astype("<i8").tobytes():
            state.update(b":free:" + rows)
        return state.hexdigest()


@dataclasses.dataclass(frozen=True)
class VocabularyStream(VocabularyWriter):
    """Ids of a new vocabulary.

    Attributes:
      batches: returns the ids in row order, as tables with the columns id (of one type) and count (int64); called
        several times.
      oov_rows: number of shared rows.
      window_end: end of the window in which the ids were counted; None: the vocabulary has no life cycle.
    """

    batches: Batches
    oov_rows: int
    window_end: int | None = None

    def parts(self) -> Iterator[Vocabulary]:
        for batch in self.batches():
            part = Vocabulary(batch["id"].combine_chunks(), batch["count"].to_numpy(), self.oov_rows)
            yield part if self.window_end is None else begin(part, self.window_end)


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
