"""Users in buckets, against naive hashes."""

import apache_beam as beam
import naive_hashing as naive
import pyarrow as pa
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from beam_pipelines.transforms.user_buckets import AssignUserBuckets


def test_users_are_assigned_to_buckets_by_hash():
    users = list(range(40))
    batch = pa.RecordBatch.from_pydict({"user_id": users, "@time": users})
    expected: dict[int, list[int]] = {}
    for user in users:
        expected.setdefault(naive.hash_id(user) % 7, []).append(user)
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        parts = pipeline | beam.Create([("train", batch)]) | AssignUserBuckets(7) | beam.MapTuple(
            lambda bucket, element: (bucket, element[0], element[1]["user_id"].to_pylist()))
        assert_that(parts, equal_to([(bucket, "train", members) for bucket, members in expected.items()]))
