"""Parquet: typed columns; row groups are read in parallel."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_pipelines.records.files import open_file
from beam_pipelines.sources.base import ColumnTypes, Format, RawBatch
from beam_pipelines.sources.limits import check_ratio
from beam_pipelines.sources.nested import nested_types, select_columns
from tfrs_pretrain.features.stored_types import is_any_list, is_text, plain_type

MAX_BATCH_BYTES = 1 << 28  # of one column


class Parquet(Format):
    """A part is a row group."""

    name = "Parquet"
    errors = (OSError, pa.ArrowException)

    def column_types(self, path: str) -> ColumnTypes:
        with open_file(path) as file:
            reader = pq.ParquetFile(file)
            schema, num_rows = reader.schema_arrow, reader.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise pa.ArrowInvalid(f"it must name each column once, found {schema.names}")
        types = nested_types(schema)
        # Without a row, the writer often did not know the types.
        return types if num_rows else dict.fromkeys(types, pa.null())

    def parts(self, path: str) -> Iterator[tuple[int, int]]:
        with open_file(path) as file:
            metadata = pq.ParquetFile(file).metadata
        first = 0
        for group in range(metadata.num_row_groups):
            self._check_ratio(path, metadata.row_group(group))
            yield group, first
            first += metadata.row_group(group).num_rows

    def num_rows(self, path: str) -> int:
        with open_file(path) as file:
            return int(pq.ParquetFile(file).metadata.num_rows)

    def _check_ratio(self, path: str, group: pq.RowGroupMetaData) -> None:
        compressed = sum(group.column(number).total_compressed_size for number in range(group.num_columns))
        check_ratio(path, group.total_byte_size, compressed, self.limits.max_decompression_ratio)

    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        group, first = part
        max_rows = max(1, min(batch_rows, MAX_BATCH_BYTES // _longest_repeated_text(path, group, columns)))
        with open_file(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(max_rows, row_groups=[group], columns=columns):
                selected = _without_views(select_columns(batch, columns))
                yield RawBatch(path, np.arange(first, first + batch.num_rows), selected)
                first += batch.num_rows


def _longest_repeated_text(path: str, group: int, columns: list[str]) -> int:
    """Returns the length in bytes of the longest text in the dictionaries of a row group, at least 1.

    A text that is stored once may be repeated in each row, and would then fill the memory.
    """
    with open_file(path) as file:
        types = nested_types(pq.read_schema(file))
        names = [name for name in columns if is_text(types[name])]
        reader = pq.ParquetFile(file, read_dictionary=names)
        first = next(reader.iter_batches(1, row_groups=[group], columns=names), None) if names else None
        texts = select_columns(first, names) if first else []
        dictionaries = [column.dictionary for column in texts if pa.types.is_dictionary(column.type)]
    return max((pc.max(pc.binary_length(texts)).as_py() or 1 for texts in dictionaries), default=1)


def _without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Converts texts in the layout of views, for which Arrow lacks functions such as ``take``."""
    columns = [column.cast(plain_type(column.type)) if pa.types.is_string_view(_value_type(column.type)) else column
               for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _value_type(dtype: pa.DataType) -> pa.DataType:
    return dtype.value_type if is_any_list(dtype) else dtype
