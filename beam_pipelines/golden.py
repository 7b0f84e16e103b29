"""Some validation impressions with raw values, so that an exported model can be asked what the trained one answered."""

from collections.abc import Iterable

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.files import written_whole
from beam_pipelines.job import Job
from beam_pipelines.keys import keys
from beam_pipelines.shards import HASH, in_order
from tfrs_pretrain.data.dataset import GOLDEN
from tfrs_pretrain.schema import ITEM_ID, KEY, USER_ID
from tfrs_pretrain.vocabulary import MISSING


class SmallestHashes(beam.CombineFn):
    """Joined batches -> the ``limit`` rows of smallest hash, ties broken by the other columns; None without rows."""

    def __init__(self, limit: int):
        self._limit = limit

    def create_accumulator(self) -> pa.Table | None:
        return None

    def add_input(self, accumulator: pa.Table | None, batch: pa.RecordBatch) -> pa.Table:
        return self._smallest([accumulator, plain(pa.Table.from_batches([batch]))])

    def merge_accumulators(self, accumulators: Iterable[pa.Table | None]) -> pa.Table | None:
        return self._smallest(list(accumulators))

    def extract_output(self, accumulator: pa.Table | None) -> pa.Table | None:
        return accumulator

    def _smallest(self, tables: list[pa.Table | None]) -> pa.Table | None:
        filled = [table for table in tables if table is not None]
        return in_order(pa.concat_tables(filled)).slice(0, self._limit).combine_chunks() if filled else None


def plain(table: pa.Table) -> pa.Table:
    """Dictionary columns as plain ones, which sort by value."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table


def write_golden(rows: pa.Table, job: Job) -> str:
    """Writes key, raw ids and raw feature values; missing values as the models take them ("", -1, NaN)."""
    columns = {KEY: keys(rows[HASH].to_numpy()), USER_ID: rows[USER_ID], ITEM_ID: rows[ITEM_ID]}
    for feature in job.schema.features:
        columns[feature.name] = rows[feature.name].fill_null(MISSING.get(feature.dtype, float("nan")))
    path = job.path(GOLDEN)
    with written_whole(path) as file:
        pq.write_table(pa.table(columns), file)
    return path
