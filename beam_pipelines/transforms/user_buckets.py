"""Assigns the rows of logs to buckets of users."""

import numpy as np
import pyarrow as pa

from beam_pipelines.records.partitions import AssignBuckets
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.schema import USER_ID


class AssignUserBuckets(AssignBuckets):
    """Converts ``(split, batch)`` to ``(bucket, (split, piece))``: each user is in one bucket."""

    def __init__(self, buckets: int):
        super().__init__(_hash_users, buckets)


def _hash_users(batch: pa.RecordBatch) -> np.ndarray:
    return hash_ids(batch[USER_ID])
