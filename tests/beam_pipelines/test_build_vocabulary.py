"""Admission of ids to a vocabulary, new and extended."""

import json

import numpy as np
import pyarrow as pa
import pytest
from planted import planted_config

from beam_pipelines.build_vocabulary import select_counted_values, select_ids, select_moment_values, write_vocabulary
from beam_pipelines.jobs.job import Job
from beam_pipelines.records.files import describe_file
from beam_pipelines.transforms.vocabularies import load_vocabulary, save_vocabulary
from beam_pipelines.transforms.vocabulary_order import sort_bucket, write_range
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary import Vocabulary

COUNTS = pa.table({"value": ["a", "b", "c", "d"], "count": [2, 5, 5, 1]})


def _job(tmp_path, item: dict | None = None, **changes) -> Job:
    tree = planted_config()
    tree["schema"]["item"] |= item or {}
    return Job(Config.model_validate(tree), "raw", str(tmp_path / "out"), **changes)


def _written(job: Job, name: str = "item") -> list[tuple]:
    vocabulary = load_vocabulary(job.path("vocabulary", f"{name}.parquet"))
    return list(zip(vocabulary.ids.to_pylist(), vocabulary.counts.tolist(), strict=True))


def _write(name: str, counts: pa.Table, job: Job) -> str:
    """Writes a vocabulary from the counts of two buckets."""
    buckets = [sort_bucket(name, part, job)[1] for part in (counts.slice(0, 1), counts.slice(1))]
    return write_vocabulary(name, [write_range((name, 0), buckets, job.path("results"))[1]], job)


@pytest.mark.parametrize(("item", "expected"), [
    ({}, [("b", 5), ("c", 5), ("a", 2), ("d", 1)]), ({"min_count": 2}, [("b", 5), ("c", 5), ("a", 2)]),
    ({"max_size": 1}, [("b", 5)])])
def test_ids_are_admitted_by_count_and_size(item, expected, tmp_path):
    job = _job(tmp_path, item)
    assert _write("item", COUNTS, job) == "item"
    assert _written(job) == expected
    assert load_vocabulary(job.path("vocabulary", "item.parquet")).oov_rows == 8


def test_integers_get_the_declared_type(tmp_path):
    job = _job(tmp_path)
    _write("topic", pa.table({"value": pa.array([3, 1], pa.int16()), "count": [1, 2]}), job)
    assert load_vocabulary(job.path("vocabulary", "topic.parquet")).ids == pa.array([1, 3], pa.int64())


@pytest.fixture
def earlier(tmp_path) -> str:
    folder = tmp_path / "earlier"
    save_vocabulary(Vocabulary(pa.array(["x", "c"]), np.array([9, 1]), 8), str(folder), "item")
    (folder / "dataset_info.json").write_text(json.dumps({"kind": "vocabulary", "vocabularies": {"item": {}}}))
    return str(folder)


def test_extended_ids_keep_their_rows_and_get_new_counts(earlier, tmp_path):
    job = _job(tmp_path, {"min_count": 2, "max_size": 3}, extend=earlier)
    _write("item", COUNTS, job)
    assert _written(job) == [("x", 0), ("c", 5), ("b", 5)]


def test_a_lookup_file_of_another_vocabulary_is_refused(earlier, tmp_path):
    folder, other = tmp_path / "earlier", Vocabulary(pa.array(["x", "d"]), np.array([9, 1]), 8)
    digest = load_vocabulary(str(folder / "vocabulary" / "item.parquet")).digest
    other.id_lookup.save(folder / "vocabulary" / "item.lookup.arrow")
    files = {f"vocabulary/{name}": describe_file(str(folder / "vocabulary" / name))
             for name in ("item.parquet", "item.lookup.arrow")}
    (folder / "dataset_info.json").write_text(json.dumps({
        "kind": "vocabulary", "vocabularies": {"item": {"digest": digest}}, "files": files}))
    with pytest.raises(UserError, match=r"vocabulary 'item': look-up file .* belongs to another vocabulary") as refused:
        _write("item", COUNTS, _job(tmp_path, extend=earlier))
    assert "\n" not in str(refused.value)


def test_a_feature_that_the_earlier_folder_lacks_is_built_from_scratch(earlier, tmp_path):
    job = _job(tmp_path, extend=earlier)
    _write("surface", COUNTS, job)
    assert [name for name, _ in _written(job, "surface")] == ["b", "c", "a", "d"]


@pytest.mark.parametrize(("max_size", "refused"), [(1, True), (2, False)])
def test_a_vocabulary_above_its_limit_cannot_be_extended(max_size, refused, earlier, tmp_path):
    job = _job(tmp_path, {"max_size": max_size}, extend=earlier)
    if refused:
        with pytest.raises(UserError, match=r"vocabulary 'item': '.*' has 2 ids, more than max_size 1, and each"):
            _write("item", COUNTS, job)
    else:
        _write("item", COUNTS, job)
        assert _written(job) == [("x", 0), ("c", 5)]


def test_too_many_rows_are_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tfrs_pretrain.id_arrays.MAX_ROWS", 4)
    with pytest.raises(UserError, match=r"vocabulary 'surface': its ids need 5 rows, and records contain rows below 4"):
        _write("surface", COUNTS, _job(tmp_path))


def test_values_of_a_batch_go_to_their_vocabularies(tmp_path):
    schema = _job(tmp_path).schema
    batch = pa.RecordBatch.from_pydict({
        "user_id": [1, 1], "item_id": ["a", "b"], "surface": pa.array(["x", None]).dictionary_encode(),
        "topic": pa.array([None, 5]).dictionary_encode(), "country": pa.array(["é", "é"]).dictionary_encode(),
        "quality": pa.array([None, 0.5], pa.float32()), "dwell": pa.array([1.0, 2.0], pa.float32())})
    assert {name: column.to_pylist() for name, column in select_ids("pretrain", batch)} == {
        "user": [1, 1], "item": ["a", "b"]}
    assert {name: column.to_pylist() for name, column in select_counted_values("train", batch, schema)} == {
        "surface": ["x", ""], "topic": [-1, 5], "country": ["é", "é"]}
    [quality] = [feature for feature in schema.features if feature.name == "quality"]
    np.testing.assert_array_equal(select_moment_values("train", batch, quality), np.array([np.nan, 0.5], np.float32))
