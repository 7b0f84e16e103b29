"""Formats with one record per id: Parquet, CSV and TFRecord."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tfrs_pretrain.interop.id_rows import IdRows


def write_parquet(path: Path, table: IdRows) -> None:
    """Writes the columns ``id``, ``vector`` (list of float) and ``count``."""
    schema = pa.schema([("id", table.ids.type), ("vector", pa.list_(pa.float32())), ("count", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:
        for block in table.blocks():
            values = pa.array(block.vectors().ravel())
            offsets = pa.array(np.arange(len(block) + 1, dtype=np.int32) * table.dim)
            vectors = pa.ListArray.from_arrays(offsets, values)
            writer.write_table(pa.table([block.ids, vectors, pa.array(block.counts)], schema=schema))


def write_csv(path: Path, table: IdRows) -> None:
    """Writes the columns ``id``, ``count`` and ``v0`` to ``v<dim - 1>``, with a header."""
    values = [(f"v{column}", pa.float32()) for column in range(table.dim)]
    schema = pa.schema([("id", table.ids.type), ("count", pa.int64()), *values])
    with pa_csv.CSVWriter(path, schema) as writer:
        for block in table.blocks():
            columns = [pa.array(column) for column in block.vectors().T]
            writer.write_table(pa.table([block.ids, pa.array(block.counts), *columns], schema=schema))


def write_tfrecord(path: Path, table: IdRows) -> None:
    """Writes a tf.Example per id with the features ``id``, ``vector`` and ``count``."""
    import tensorflow as tf

    from tfrs_pretrain.serving.client.tf_examples import to_example

    with tf.io.TFRecordWriter(str(path)) as writer:
        for block in table.blocks():
            for name, vector, count in zip(block.ids.to_pylist(), block.vectors(), block.counts, strict=True):
                example = to_example({"id": name, "vector": vector, "count": int(count)})
                writer.write(example.SerializeToString(deterministic=True))
