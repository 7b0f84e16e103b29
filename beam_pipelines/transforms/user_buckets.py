"""Assigns the rows of logs to buckets of users."""

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.records.partitions import PartitionByHash, without_name
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.schema import USER_ID


class AssignUserBuckets(beam.PTransform):
    """Converts ``(split, batch)`` to ``(bucket, (split, piece))``: each user is in one bucket."""

    def __init__(self, buckets: int):
        super().__init__()
        self._buckets = buckets

    def expand(
        self, split_to_batch: beam.PCollection[tuple[str, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[int, tuple[str, pa.RecordBatch]]]:
        return (
            split_to_batch
            | "PartitionByUser" >> beam.ParDo(PartitionByHash(_hash_users), self._buckets)
            | "KeyByBucket" >> beam.MapTuple(without_name).with_output_types(tuple[int, tuple[str, pa.RecordBatch]])
        )


def _hash_users(batch: pa.RecordBatch) -> np.ndarray:
    return hash_ids(batch[USER_ID])
