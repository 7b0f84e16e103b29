"""Item and user features: loaded once per worker, joined by position."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
from apache_beam.utils.shared import Shared

from beam_pipelines.cleaning import feature_column
from beam_pipelines.job import Job, arrow_type
from beam_pipelines.parquet import read_whole
from tfrs_pretrain.schema import ITEM_ID, USER_ID, Feature, IdSpace

SIDES = {"items": ITEM_ID, "users": USER_ID}


class SideTable:
    """Features of one table, by id.

    Args:
      ids: Arrow int64 or string array [n], unique.
      columns: feature name -> Arrow array [n], dictionary-encoded where categorical.
    """

    def __init__(self, ids: pa.Array, columns: dict[str, pa.Array]):
        self._index = pd.Index(ids.to_numpy(zero_copy_only=False))
        self._columns = columns

    @classmethod
    def read(cls, table: str, pattern: str, space: IdSpace, features: tuple[Feature, ...]) -> "SideTable":
        """Reads the needed columns of a Parquet table."""
        wanted = dict.fromkeys([space.column, *(feature.source_column for feature in features)])
        content = read_whole(table, pattern, list(wanted)).combine_chunks()
        ids = content[space.column].cast(arrow_type(space.dtype)).combine_chunks()
        return cls(ids, {feature.name: feature_column(_whole(content[feature.source_column]), feature)
                         for feature in features})

    def lookup(self, ids: pa.Array) -> dict[str, pa.Array]:
        """Feature name -> values [m] of the given ids, null where an id is not in the table."""
        found = self._index.get_indexer(pd.Index(ids.to_numpy(zero_copy_only=False)))
        indices = pa.array(found, pa.int64(), mask=found < 0)
        return {name: column.take(indices) for name, column in self._columns.items()}


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
                      for table, id_column in SIDES.items() if job.features(table)}


def missing_numeric(column: pa.Array) -> np.ndarray:
    """float32 [n] with NaN where null."""
    return column.fill_null(float("nan")).to_numpy(zero_copy_only=False)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.unify_dictionaries().combine_chunks()
