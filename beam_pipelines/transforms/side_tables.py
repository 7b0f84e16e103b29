"""Item and user features: loaded once per worker, joined by position."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
from apache_beam.utils.shared import Shared

from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.text_values import needs_parsing, parse
from beam_pipelines.sources import RawBatch, TableSource
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.features.lists import filled
from tfrs_pretrain.schema import ITEM_ID, USER_ID, IdSpace
from tfrs_pretrain.value_types import ARROW_TYPES

SIDE_TABLES = {"items": ITEM_ID, "users": USER_ID}


class SideTable:
    """Features of one table, by id.

    Args:
      ids: Arrow int64 or string array [n], unique.
      columns: feature name -> Arrow array [n], as ``Feature.clean`` returns it.
    """

    def __init__(self, ids: pa.Array, columns: dict[str, pa.Array]):
        self._index = pd.Index(ids.to_numpy(zero_copy_only=False))
        self._columns = columns

    @classmethod
    def read(cls, table: str, source: TableSource, space: IdSpace, features: tuple[Feature, ...]) -> "SideTable":
        """Reads the needed columns of a table."""
        kinds = {feature.source_column: feature.value_type for feature in features}
        kinds[space.column] = space.dtype
        content = read_side_table(table, source, kinds).combine_chunks()
        ids = content[space.column].cast(ARROW_TYPES[space.dtype]).combine_chunks()
        return cls(ids, {feature.name: feature.clean(_whole(content[feature.source_column])) for feature in features})

    def lookup(self, ids: pa.Array) -> dict[str, pa.Array]:
        """Feature name -> values [m] of the given ids, null (of lists: empty) where an id is not in the table."""
        found = self._index.get_indexer(pd.Index(ids.to_numpy(zero_copy_only=False)))
        indices = pa.array(found, pa.int64(), mask=found < 0)
        taken = {name: column.take(indices) for name, column in self._columns.items()}
        return {name: filled(column) if pa.types.is_list(column.type) else column for name, column in taken.items()}


class JoinSideFeatures(beam.PTransform):
    """Adds item and user features to cleaned ``(split, batch)`` elements."""

    def __init__(self, job: Job):
        super().__init__()
        self._job = job

    def expand(
        self, batches: beam.PCollection[tuple[str, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
        return batches | "Join" >> beam.ParDo(_Join(self._job)).with_output_types(tuple[str, pa.RecordBatch])


class _Join(beam.DoFn):
    def __init__(self, job: Job):
        self._job, self._shared = job, Shared()

    def setup(self) -> None:
        self._tables = self._shared.acquire(lambda: _Tables(self._job)).by_id

    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        split, batch = element
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for id_column, table in self._tables.items():
            columns |= table.lookup(batch[id_column])
        yield split, pa.RecordBatch.from_pydict(columns)


class _Tables:
    """The side tables that the schema uses, by the id column that they are joined on."""

    def __init__(self, job: Job):
        spaces = {"items": job.schema.item, "users": job.schema.user}
        self.by_id = {id_column: SideTable.read(table, job.source(table), spaces[table], job.features(table))
                      for table, id_column in SIDE_TABLES.items() if job.features(table)}


def read_side_table(table: str, source: TableSource, kinds: dict[str, str]) -> pa.Table:
    """Some columns of a whole table; text values as their kinds (see ``text_values.parse``).

    Raises:
      UserError: a part is missing or unreadable, or a row is malformed: a side table is too small to lose one.
    """
    parts = [_typed(table, raw, kinds) for raw in source.read_all(list(kinds))]
    if not parts:
        raise UserError(f"table {table}: {source} holds no row, expected one for each id")
    return pa.concat_tables([pa.Table.from_batches([part]) for part in parts], promote_options="permissive")


def _typed(table: str, raw: RawBatch, kinds: dict[str, str]) -> pa.RecordBatch:
    for bad in raw.malformed:
        raise UserError(f"table {table}: {raw.path!r}, line {bad.position}: {bad.reason} ({bad.text[:80]!r}); mend it")
    columns = {}
    for name, kind in kinds.items():
        columns[name] = raw.columns[name]
        if needs_parsing(columns[name].type, kind):
            columns[name], unparsable = parse(raw.columns[name], kind)
            for place in np.flatnonzero(unparsable)[:1].tolist():
                raise UserError(f"table {table}: {raw.path!r}, position {raw.positions[place]}: column {name!r} is "
                                f"{raw.columns[name][place].as_py()!r}, expected {kind}; mend it")
    return pa.RecordBatch.from_pydict(columns)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.unify_dictionaries().combine_chunks()
