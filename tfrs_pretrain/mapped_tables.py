"""Arrow tables in temporary files that are mapped into memory, for tables that grow with the impressions.

A file has no name once it is mapped: its space is free again when nothing refers to the table, also after a kill. The
pages of a mapped file are read when they are used, and the system drops them when it needs the memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def mapped_table(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Write record batches to a temporary file as they come, and map it.

    Args:
      batches: at least one; dictionary columns have the same dictionary in all of them.

    Raises:
      ValueError: there are no batches.
      OSError: the disk of the temporary folder (``TMPDIR``) is full.
    """
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise ValueError("a mapped table needs at least one batch")
    with tempfile.NamedTemporaryFile(prefix="tfrs-pretrain-", suffix=".arrow") as file:
        with pa.OSFile(file.name, "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
            writer.write_batch(first)
            for batch in iterator:
                writer.write_batch(batch)
        with pa.memory_map(file.name) as source:
            return pa.ipc.open_file(source).read_all()


def read_parquet_mapped(path: Path, columns: Sequence[str], dictionary: Sequence[str] = ()) -> pa.Table:
    """Read columns of a Parquet file, one after another, into mapped columns of one chunk each.

    Args:
      path: the file.
      columns: names.
      dictionary: those of ``columns`` that become dictionary columns; others keep their type.
    """
    return pa.table({name: _mapped_column(path, name, [each for each in dictionary if each == name])
                     for name in columns})


def _mapped_column(path: Path, name: str, dictionary: list[str]) -> pa.ChunkedArray:
    table = pq.read_table(path, columns=[name], read_dictionary=dictionary).unify_dictionaries().combine_chunks()
    return mapped_table(table.to_batches() or [_empty(table.schema)]).column(0)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({field.name: pa.array([], field.type) for field in schema}, schema)
