"""Measures the statistics of TFRecord files, one file at a time."""

from collections.abc import Iterator

import numpy as np
from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.records.example_parser import Column, MalformedExampleError, parse_examples
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.tfrecord_reader import DamagedFileError, read_tfrecord
from beam_pipelines.validation.dataset import ExpectedColumn
from beam_pipelines.validation.record_statistics import ColumnStatistics, SplitStatistics
from tfrs_pretrain.schema import KEY

CHUNK_RECORDS = 1 << 16
# Columns with exactly one value for each pair or impression of a block.
ONE_VALUE_EACH = ("query", KEY)

SplitKey = tuple[str, str]  # dataset, split
ExpectedColumns = dict[str, ExpectedColumn]


def measure_file(dataset: str, split: str, path: str | None, expected: dict[SplitKey, ExpectedColumns]
                 ) -> Iterator[tuple[SplitKey, SplitStatistics]]:
    """Yields the statistics of a file, one chunk of records at a time.

    Args:
      dataset, split: key of the result.
      path: TFRecord file; None for a split without files, which gives empty statistics.
      expected: (dataset, split) -> expected columns.
    """
    key = dataset, split
    if path is None:
        yield key, SplitStatistics()
        return
    try:
        for records in read_tfrecord(path):
            for start in range(0, len(records), CHUNK_RECORDS):
                chunk = records.slice(start, min(start + CHUNK_RECORDS, len(records)))
                for statistics in measure_records(chunk, expected[key]):
                    yield key, statistics
    except (DamagedFileError, BeamIOError, OSError, EOFError) as error:
        yield key, SplitStatistics(damaged={path: " ".join(str(error).split())})


def measure_records(records: RecordBuffer, expected: ExpectedColumns) -> Iterator[SplitStatistics]:
    """Yields the statistics of records; halves the records until each malformed one is alone."""
    try:
        columns = parse_examples(records)
    except MalformedExampleError:
        if len(records) == 1:
            yield SplitStatistics(records=1, malformed=1)
            return
        half = len(records) // 2
        for part in (records.slice(0, half), records.slice(half, len(records))):
            yield from measure_records(part, expected)
        return
    measured = {name: sum((_measure_column(part, expected.get(name)) for part in parts), ColumnStatistics())
                for name, parts in columns.items()}
    blocks = [measured[name].values for name in ONE_VALUE_EACH
              if name in expected and expected[name].block and name in measured]
    yield SplitStatistics(len(records), blocks[0] if blocks else len(records), columns=measured)


def _measure_column(part: Column, expected: ExpectedColumn | None) -> ColumnStatistics:
    if expected is None:
        return ColumnStatistics.from_column(part, None)
    if not expected.block or part.dtype != "string":
        return ColumnStatistics.from_column(part, expected.rows)
    return ColumnStatistics.from_column(_unpack_block(part, expected.block), expected.rows).with_shape_of(part)


def _unpack_block(part: Column, block: str) -> Column:
    """Interprets byte strings as little-endian numbers of a numpy type; an incomplete last number is ignored."""
    width = np.dtype(block).itemsize
    values = part.values[:len(part.values) // width * width].view(block)
    dtype, wide = ("float32", np.float32) if values.dtype.kind == "f" else ("int64", np.int64)
    return Column(dtype, part.records, part.sizes // width, values.astype(wide), part.sizes)
