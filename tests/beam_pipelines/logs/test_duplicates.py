"""One row of each key: which one is kept, and where the others go. Literal rows in, literal rows out."""

import dataclasses
import json

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.cleaning import ACCOUNTS, REJECTED, clean_batch
from beam_pipelines.logs.duplicates import RejectDuplicates
from beam_pipelines.sources import RawBatch
from tfrs_pretrain.config import Config

GOOD = {"member": 1, "item": "a", "ts": 5, "day": 21, "clicked": 0, "surface": "home", "dwell": 1.0}


@pytest.fixture(scope="module")
def log():
    tree = planted_config()
    tree["dataset"] |= {"duplicates": {"impressions": "reject"}}
    return Job(Config.model_validate(tree), "raw", "out").impressions


def _cleaned(log, path: str, *changes: dict) -> list[tuple[str, pa.RecordBatch]]:
    rows = [GOOD | change for change in changes]
    types = {"surface": pa.string(), "dwell": pa.float64()}
    batch = pa.RecordBatch.from_pydict({name: pa.array([row[name] for row in rows], types.get(name)) for name in GOOD})
    return list(clean_batch(RawBatch(path, np.arange(len(rows)), batch), log).by_split.items())


def _check(log, elements, kept: list[tuple], rejected: list[tuple], accounts: list[tuple], buckets: int = 1) -> None:
    """Compares (split, surface, label), (file, position, reason) and (kept, rejected) of the outputs."""
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        outputs = pipeline | beam.Create(elements) | RejectDuplicates(log, buckets)
        assert_that(outputs["batches"] | beam.FlatMapTuple(lambda split, batch: [
            (split, row["surface"], row["label"]) for row in batch.to_pylist()]), equal_to(kept))
        assert_that(outputs[REJECTED] | beam.FlatMap(lambda batch: [
            (row["file"], row["position"], row["reason"]) for row in batch.to_pylist()]), equal_to(rejected),
            label="rejected")
        assert_that(outputs[ACCOUNTS] | beam.Map(lambda account: (dict(account.kept), dict(account.rejected))),
                    equal_to(accounts), label="accounts")


REASON = "duplicate impression"


def test_the_row_with_a_label_is_kept_wherever_it_was_read(log):
    elements = [*_cleaned(log, "a", {}, {"clicked": 0}), *_cleaned(log, "b", {"clicked": 1})]
    _check(log, elements, [("train", "home", 1.0)], [("a", 0, REASON), ("a", 1, REASON)],
           [({"train": -2}, {REASON: 2})])


def test_of_equal_rows_the_first_by_file_and_position_is_kept(log):
    elements = [*_cleaned(log, "b", {}), *_cleaned(log, "a", {"member": 7}, {})]
    _check(log, elements, [("train", "home", 0.0), ("train", "home", 0.0)], [("b", 0, REASON)],
           [({"train": -1}, {REASON: 1})])


@pytest.mark.parametrize("change", [{"member": 2}, {"item": "b"}, {"ts": 6}, {"surface": "search"}, {"surface": None},
                                    {"dwell": 2.0}, {"dwell": None}])
def test_rows_that_differ_in_any_part_of_the_key_are_kept(change, log):
    _check(log, _cleaned(log, "a", {}, change),
           [("train", "home", 0.0), ("train", change.get("surface", "home"), 0.0)], [], [])


@pytest.mark.parametrize("column", ["surface", "dwell"])
def test_missing_values_are_equal(column, log):
    kept = [("train", (GOOD | {column: None})["surface"], 0.0)]
    _check(log, _cleaned(log, "a", {column: None}, {column: None}), kept, [("a", 1, REASON)],
           [({"train": -1}, {REASON: 1})])


def test_a_row_of_another_window_is_no_other_row(log):
    """The key does not contain the window: the first split by name is kept."""
    _check(log, _cleaned(log, "a", {}, {"day": 28}), [("train", "home", 0.0)], [("a", 1, REASON)],
           [({"validation": -1}, {REASON: 1})])


@pytest.mark.parametrize("buckets", [1, 2, 7])
def test_buckets_do_not_change_what_is_kept(buckets, log):
    changes = [{"member": member, "surface": surface} for member in range(6) for surface in ("x", "y")]
    elements = [*_cleaned(log, "a", *changes), *_cleaned(log, "b", *changes[:6])]
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        outputs = pipeline | beam.Create(elements) | RejectDuplicates(log, buckets)
        rows = outputs["batches"] | beam.FlatMapTuple(lambda _, batch: [
            (row["user_id"], row["surface"]) for row in batch.to_pylist()])
        assert_that(rows, equal_to([(change["member"], change["surface"]) for change in changes]))
        assert_that(outputs[REJECTED] | beam.FlatMap(lambda batch: batch["file"].to_pylist()), equal_to(["b"] * 6),
                    label="rejected")


def test_batches_are_as_cleaning_returns_them_and_rejected_rows_as_text(log):
    elements = _cleaned(log, "a", {}, {})
    without = dataclasses.replace(log, reject_duplicates=False)
    [(_, expected)] = _cleaned(without, "a", {})
    values = {"user_id": 1, "item_id": "a", "@time": 5, "label": 0.0, "surface": "home", "dwell": 1.0}
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        outputs = pipeline | beam.Create(elements) | RejectDuplicates(log, 3)
        assert_that(outputs["batches"] | beam.MapTuple(lambda _, batch: batch.schema.types),
                    equal_to([expected.schema.types]))
        assert_that(outputs[REJECTED] | beam.FlatMap(lambda batch: [json.loads(text) for text in
                                                                    batch["values"].to_pylist()]),
                    equal_to([values]), label="values")
