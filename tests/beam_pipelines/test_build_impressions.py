"""The parts of the impressions job: hashes, records in both formats, measures."""

import naive_hashing as naive
import numpy as np
import pyarrow as pa
import pytest
from planted import planted_config

from beam_pipelines import build_impressions
from beam_pipelines.build_impressions import add_hash, encode_impressions, measure_impressions
from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.keys import unique_keys
from beam_pipelines.records.example_parser import parse_examples
from tfrs_pretrain.config import Config

TABLE = pa.table({
    "@hash": pa.array([3, 3, 5], pa.uint64()), "user_id": [7, 8, 9], "item_id": ["é", "", "bc"],
    "user": pa.array([0, 5, 1], pa.int32()), "item": pa.array([7, 8, 400], pa.int32()),
    "label": pa.array([1.0, 0.0, 1.0], pa.float32()), "liked": pa.array([1.0, 0.0, 0.0], pa.float32()),
    "surface": pa.array([1, 2, 1], pa.int32()), "dwell": pa.array([0.5, np.nan, 2.0], pa.float32()),
    "topic": pa.array([3, 3, 1], pa.int32()), "quality": pa.array([1.0, 2.0, 3.0], pa.float32()),
    "country": pa.array([1, 1, 2], pa.int32()), "history": pa.array([[8, 9], [], [10]], pa.list_(pa.int64()))})


def _config(**dataset) -> Config:
    tree = planted_config()
    tree["schema"] |= {"labels": ["liked"], "history": {"length": 2}}
    tree["dataset"] |= dataset
    return Config.model_validate(tree)


def _values(records, name: str) -> list:
    [part] = parse_examples(records)[name]
    return part.values.tolist()


def _all_values(parts, name: str) -> list:
    return [value for records in parts for value in _values(records, name)]


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_there_is_one_example_per_impression(chunk, monkeypatch):
    monkeypatch.setattr(build_impressions, "CHUNK_ROWS", chunk)
    parts = list(encode_impressions(TABLE, config=_config()))
    assert [len(records) for records in parts] == [min(chunk, 3 - start) for start in range(0, 3, chunk)]
    assert _all_values(parts, "user_id") == [7, 8, 9]
    keys = unique_keys(np.array([3, 3, 5], np.uint64)).tolist()
    assert _all_values(parts, "key") == keys
    assert len(set(keys)) == 3
    assert _all_values(parts, "item") == [7, 8, 400]


def test_an_example_has_every_column_but_the_hash():
    [records] = encode_impressions(TABLE, config=_config())
    columns = parse_examples(records)
    assert set(columns) == {"key", *TABLE.column_names} - {"@hash"}
    [history] = columns["history"]
    assert (history.lengths.tolist(), history.values.tolist()) == ([2, 0, 1], [8, 9, 10])
    assert {name: part.dtype for name, [part] in columns.items() if part.dtype != "int64"} == {
        "item_id": "string", "label": "float32", "liked": "float32", "dwell": "float32", "quality": "float32"}


def test_blocks_have_the_configured_number_of_impressions():
    first, second = encode_impressions(TABLE, config=_config(impressions_format="columnar", impressions_per_block=2))
    lengths = [np.frombuffer(bytes(_values(records, "item_id.lengths")), "<i4").tolist() for records in (first, second)]
    assert lengths == [[2, 0], [2]]
    assert np.frombuffer(bytes(_values(first, "history")), "<i8").tolist() == [8, 9]
    assert np.frombuffer(bytes(_values(second, "user_id")), "<i8").tolist() == [9]


def test_measures_are_sums_over_the_impressions():
    assert measure_impressions(TABLE, schema=_config().schema_) == {
        "positives": 2, "liked_rate": 1, "history_length": 3, "empty_histories": 1, "oov_users": 2, "oov_items": 1}


def test_the_hash_is_added_to_the_other_columns():
    log = Job(_config(), "raw", "out").engagements
    batch = pa.RecordBatch.from_pydict({"user_id": [1, 2], "item_id": ["a", "b"], "@time": [5, 6], "x": [7, 8]})
    split, hashed = add_hash("train", batch, log)
    assert split == "train"
    assert hashed.to_pydict() == batch.to_pydict() | {"@hash": [naive.event(1, "a", 5), naive.event(2, "b", 6)]}
