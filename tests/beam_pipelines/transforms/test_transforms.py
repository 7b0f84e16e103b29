"""Each composite transform alone, with literal elements, on Beam's in-process runner."""

import itertools
import math
from fractions import Fraction

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.cleaning import ACCOUNTS, CleanLog
from beam_pipelines.logs.keys import unique_keys
from beam_pipelines.records.files import WriteJson, read_json
from beam_pipelines.records.row_order import HASH, SmallestHashes
from beam_pipelines.records.shards import WriteShards, summarize_splits
from beam_pipelines.sources import RawBatch, open_source
from beam_pipelines.transforms.candidate_counts import CountCandidates
from beam_pipelines.transforms.counting import CountValues
from beam_pipelines.transforms.moments import ExactMoments
from beam_pipelines.transforms.side_tables import JoinSideFeatures
from tfrs_pretrain.config import Config, DatasetConfig, Window
from tfrs_pretrain.schema import IdSpace, Schema

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.fixture
def pipeline():
    return test_pipeline.TestPipeline(runner="FnApiRunner")


@pytest.mark.parametrize(("pattern", "batch_rows", "expected"), [
    (".", 1, [[1], [2], [3], [4], [5]]),
    ("*.parquet", 10, [[1, 2], [3], [4, 5]]),
    ("a.parquet", 10, [[1, 2], [3]]),
])
def test_reading_limits_batches_and_reads_all_files(pipeline, tmp_path, pattern, batch_rows, expected):
    for name, values in (("b", [4, 5]), ("a", [1, 2, 3])):
        pq.write_table(pa.table({"x": values, "unused": values}), tmp_path / f"{name}.parquet", row_group_size=2)
    with pipeline:
        batches = pipeline | open_source("t", pattern, str(tmp_path)).read(["x"], batch_rows)
        assert_that(batches | beam.Map(lambda batch: batch.columns.to_pydict()),
                    equal_to([{"x": part} for part in expected]))


def test_clean_log_outputs_batches_and_accounts(pipeline):
    schema = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="t", label="y")
    log = LogSpec("engagements", "engagements", schema, {"pretrain": Window(start=0, end=10)})
    batch = pa.RecordBatch.from_pydict({"u": [1, 2, -3], "i": [5, 6, 7], "t": [0, 10, 5]})
    with pipeline:
        cleaned = pipeline | beam.Create([RawBatch("f", np.arange(3), batch)]) | CleanLog(log)
        assert_that(cleaned["batches"] | beam.MapTuple(lambda split, rows: (split, rows.to_pylist())),
                    equal_to([("pretrain", [{"user_id": 1, "item_id": 5, "@time": 0}])]))
        assert_that(cleaned[ACCOUNTS] | beam.Map(lambda rows: (rows.read, dict(rows.rejected), dict(rows.filtered))),
                    equal_to([(3, {"negative user id": 1}, {"outside every window": 1})]), label="accounts")


def test_count_values_merges_batches_and_keeps_names_apart(pipeline):
    columns = [("user", pa.array([3, 1, 3])), ("user", pa.array([3])), ("item", pa.array(["é", "", "é"])),
               ("item", pa.array([], pa.string())), ("code", pa.array([3]))]
    with pipeline:
        counts = pipeline | beam.Create(columns) | CountValues(2) | beam.GroupByKey()
        in_order = counts | beam.MapTuple(
            lambda name, tables: (name, pa.concat_tables(tables).sort_by("value").to_pydict()))
        assert_that(in_order, equal_to([
            ("user", {"value": [1, 3], "count": [1, 3]}), ("item", {"value": ["", "é"], "count": [1, 2]}),
            ("code", {"value": [3], "count": [1]})]))


def test_join_adds_features_by_id_and_null_for_unknown_ids(pipeline, tmp_path):
    config = Config.model_validate(planted_config())
    pq.write_table(pa.table({"item": ["a", "b"], "topic_id": [7, 8], "quality": [0.5, None]}),
                   tmp_path / "items.parquet")
    pq.write_table(pa.table({"member": [2, 1], "country": pa.array(["日本", None]).dictionary_encode()}),
                   tmp_path / "users.parquet")
    batch = pa.RecordBatch.from_pydict({"user_id": [1, 2, 3], "item_id": ["b", "a", "c"], "label": [1.0, 0.0, 0.0]})
    with pipeline:
        joined = pipeline | beam.Create([("train", batch)]) | JoinSideFeatures(Job(config, str(tmp_path), "unused"))
        assert_that(joined | beam.MapTuple(lambda split, rows: (split, rows.to_pydict())), equal_to([("train", {
            "user_id": [1, 2, 3], "item_id": ["b", "a", "c"], "label": [1.0, 0.0, 0.0], "topic": [8, 7, None],
            "quality": [None, 0.5, None], "country": [None, "日本", None], "@items": [True, True, None],
            "@users": [True, True, None]})]))


def test_candidate_counts(pipeline):
    with pipeline:
        counts = pipeline | beam.Create([np.array([5, 2, 5], np.int32), np.array([5, 9], np.int32)]) | (
            beam.CombineGlobally(CountCandidates()))
        assert_that(counts | beam.Map(lambda pair: [part.tolist() for part in pair]),
                    equal_to([[[2, 5, 9], [1, 3, 1]]]))


def test_shards_have_sorted_rows_for_any_batches(pipeline, tmp_path):
    """Even hashes belong to shard 0, odd ones to shard 1; equal hashes are sorted by value; heldout is empty."""
    hashes, values = np.array([6, 4, 9, 4], np.uint64), np.array([1, 3, 5, 2])
    batches = [("train", pa.RecordBatch.from_pydict({HASH: hashes[part], "value": values[part]}))
               for part in ([0], [1, 2], [3])]
    with pipeline:
        files = pipeline | beam.Create(batches) | WriteShards(
            str(tmp_path), ("train", "heldout"), DatasetConfig(shards=2), encode=_refuse_unordered,
            measure=lambda rows: {"total": sum(rows["value"].to_pylist())})
        _ = files | beam.combiners.ToList() | WriteJson(str(tmp_path / "files.json"))
    splits = summarize_splits(read_json(str(tmp_path / "files.json")))
    assert splits["train"]["examples"] == 4
    assert splits["train"]["measures"] == {"total": 11}
    assert [shard["examples"] for shard in splits["train"]["shards"]] == [3, 1]
    assert [(shard["path"], shard["bytes"], shard["records"]) for shard in splits["heldout"]["shards"]] == [
        ("heldout-00000-of-00002.tfrecord", 0, 0), ("heldout-00001-of-00002.tfrecord", 0, 0)]
    assert (tmp_path / "heldout-00001-of-00002.tfrecord").read_bytes() == b""


def _refuse_unordered(rows: pa.Table):
    assert rows.to_pydict() in ({HASH: [4, 4, 6], "value": [2, 3, 1]}, {HASH: [9], "value": [5]})
    return []


def test_keys_number_rows_of_equal_hash():
    hashes = np.array([1, 1, 1, 7, 2**64 - 1, 2**64 - 1], np.uint64)
    made = unique_keys(hashes)
    assert made.dtype == np.int64
    assert len(set(made.tolist())) == 6
    assert made[3] == unique_keys(hashes[3:4])[0]
    assert made[:2].tolist() == unique_keys(hashes[:2]).tolist()
    assert unique_keys(hashes[:0]).tolist() == []


def test_smallest_hashes_do_not_depend_on_batches():
    rows = pa.table({HASH: pa.array([5, 3, 9, 3, 8], pa.uint64()), "name": ["c", "b", "d", "a", "e"]})
    combine = SmallestHashes(3)
    for cuts in ([0, 5], [0, 1, 4, 5]):
        parts = [rows.slice(start, end - start).combine_chunks().to_batches()[0]
                 for start, end in itertools.pairwise(cuts)]
        accumulators = [combine.add_input(combine.create_accumulator(), part) for part in parts]
        merged = combine.merge_accumulators([combine.create_accumulator(), *accumulators])
        assert combine.extract_output(merged)["name"].to_pylist() == ["a", "b", "c"]


def _moments(*parts: list[float]) -> dict[str, float]:
    combine = ExactMoments()
    accumulators = [combine.add_input(combine.create_accumulator(), np.array(part, np.float32)) for part in parts]
    return combine.extract_output(combine.merge_accumulators(accumulators))


@settings(deadline=None)
@given(st.lists(FLOAT32, min_size=1, max_size=30), st.data())
def test_moments_are_exact_and_independent_of_order_and_batches(values, data):
    shuffled = data.draw(st.permutations(values))
    cut = data.draw(st.integers(0, len(values)))
    result = _moments(values)
    assert result == _moments(shuffled[:cut], shuffled[cut:])
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    assert result["mean"] == float(mean)
    assert result["std"] == (math.sqrt(variance) if variance else 1.0)


def test_moments_without_spread_or_values():
    assert _moments([math.nan, 2.5, 2.5]) == {"mean": 2.5, "std": 1.0}
    assert _moments([math.nan]) == {"mean": 0.0, "std": 1.0}
    many = np.random.default_rng(0).normal(100, 0.01, 100000).astype(np.float32)
    np.testing.assert_allclose(_moments(many)["std"], many.astype(np.float64).std(), rtol=1e-9)
