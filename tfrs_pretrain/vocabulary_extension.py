"""Extension of a vocabulary by a later window, block by block: no process holds the ids of a space.

Every id that stays keeps its row. New ids, in the order (-count, id), get the free rows and then rows at the end.
Memory: 1 byte per row, with lifetimes 17, and up to 40 per row while ids are evicted. The counts of known ids and the
new ids are in mapped temporary files.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.id_arrays import single_array
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.lifecycle_rules import LifecycleRules
from tfrs_pretrain.mapped_tables import mapped_table
from tfrs_pretrain.row_placement import place_ids
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_lifecycle import LifecycleStep, begin
from tfrs_pretrain.vocabulary_stream import ROW_GROUP, VocabularyWriter


@dataclasses.dataclass(frozen=True)
class EarlierVocabulary:
    """A vocabulary to extend.

    Attributes:
      path: its local file.
      lookup: its look-up file.
      seen_until: end of its window, if its ids begin their life cycle with it; None: they have one, or need none.
    """

    path: Path
    lookup: IdLookup
    seen_until: int | None = None

    def blocks(self) -> Iterator[Vocabulary]:
        """Yield the rows in order as vocabularies of at most ``ROW_GROUP`` rows; at least one."""
        with pq.ParquetFile(self.path) as parquet:
            schema = parquet.schema_arrow
            tables = map(pa.Table.from_batches, ([batch] for batch in parquet.iter_batches(batch_size=ROW_GROUP)))
            for table in tables if parquet.metadata.num_rows else [schema.empty_table()]:
                block = Vocabulary.from_table(table.replace_schema_metadata(schema.metadata))
                yield block if self.seen_until is None else begin(block, self.seen_until)

    def ids_at(self, positions: np.ndarray) -> pa.ChunkedArray:
        """Return the ids at ascending int64 positions, which count from 0 without the shared rows."""
        chunks, start = [], 0
        for block in self.blocks():
            bounds = np.searchsorted(positions, [start, start + len(block.ids)])
            chunks.append(block.ids.take(pa.array(positions[slice(*bounds)] - start)))
            start += len(block.ids)
        return pa.chunked_array(chunks)


@dataclasses.dataclass(frozen=True)
class WindowCounts:
    """Counts of a later window.

    Attributes:
      known: int64 [n], count of the id at each position of the earlier vocabulary; 0 without one.
      new: the columns id and count of the other ids that are admitted by count, in the order (-count, id).
    """

    known: np.ndarray
    new: pa.Table

    @classmethod
    def read(cls, lookup: IdLookup, tables: Iterable[pa.Table], min_count: int) -> WindowCounts:
        """Split counts by a look-up of their ids.

        Args:
          lookup: of the earlier vocabulary.
          tables: columns value and count, in the order (-count, value) over all tables; at least one.
          min_count: occurrences that admit a new id.
        """
        known = _mapped_zeros(lookup.num_rows - lookup.oov_rows)

        def new_ids() -> Iterator[pa.RecordBatch]:
            for table in tables:
                rows, counts = lookup.lookup(table["value"]), table["count"].to_numpy()
                is_known = rows >= lookup.oov_rows
                known[rows[is_known] - lookup.oov_rows] = counts[is_known]
                found = table.rename_columns(["id", "count"]).filter(pa.array(~is_known & (counts >= min_count)))
                yield from found.combine_chunks().to_batches() or [_no_rows(found.schema)]

        return cls(known, mapped_table(new_ids()))


class ExtendedVocabulary(VocabularyWriter):
    """The vocabulary of a later window.

    Args:
      earlier: the vocabulary to extend.
      window: counts of the later window.
      max_size: maximum number of ids (None: no limit).
      life_cycle: end of the later window, and which ids leave; None: all stay, and their counts become the new ones.

    Raises:
      UserError: more ids than ``max_size`` stay, and none is evicted.
    """

    def __init__(self, earlier: EarlierVocabulary, window: WindowCounts, *, max_size: int | None = None,
                 life_cycle: tuple[int, LifecycleRules] | None = None):
        self._earlier, self._window = earlier, window
        self.oov_rows = earlier.lookup.oov_rows
        self._step = LifecycleStep.of(earlier, window, max_size, *life_cycle) if life_cycle else None
        self._leaves = self._step.leaves if self._step else np.concatenate(
            [block.is_free for block in earlier.blocks()])
        self._num_new = self._step.num_admitted if self._step else self._room(max_size)

    def _room(self, max_size: int | None) -> int:
        num_new = int(self._window.new.num_rows)
        return num_new if max_size is None else min(max(max_size - int((~self._leaves).sum()), 0), num_new)

    def parts(self) -> Iterator[Vocabulary]:
        """Yield the rows in order."""
        start = taken = 0
        for block in self._earlier.blocks():
            end = start + len(block.ids)
            size = min(int(self._leaves[start:end].sum()), self._num_new - taken)
            yield self._part(block, start, taken, size)
            start, taken = end, taken + size
        for first in range(taken, self._num_new, ROW_GROUP):
            yield self._part(None, start, first, min(ROW_GROUP, self._num_new - first))

    def _part(self, block: Vocabulary | None, start: int, taken: int, size: int) -> Vocabulary:
        """Place ``size`` new ids, from number ``taken``, into a block that begins at ``start``; None: at the end."""
        new = self._window.new.slice(taken, size)
        ids = block.ids if block else new["id"].combine_chunks()[:0]
        end = start + len(ids)
        leaves, counts = self._leaves[start:end], np.asarray(self._window.known[start:end])
        placed, positions = place_ids(ids, leaves, single_array(new["id"]))
        new_counts = new["count"].to_numpy()
        if self._step:
            life = self._step.lifetimes(start, end, len(placed), positions, new_counts)
            return Vocabulary(single_array(placed), np.rint(life.decayed).astype(np.int64), self.oov_rows, life)
        counts = np.append(counts, np.zeros(len(placed) - len(counts), np.int64))
        counts[positions] = new_counts
        return Vocabulary(single_array(placed), counts, self.oov_rows)


def _mapped_zeros(size: int) -> np.ndarray:
    """Return int64 [size] zeros in a temporary file without a name."""
    if not size:
        return np.zeros(0, np.int64)
    with tempfile.TemporaryFile(prefix="tfrs-pretrain-") as file:
        return np.memmap(file, np.int64, "w+", shape=(size,))


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
