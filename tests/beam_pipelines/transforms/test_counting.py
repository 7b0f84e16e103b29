"""Counts do not depend on when a worker emits them."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.transforms import counting
from beam_pipelines.transforms.counting import CountValues

COLUMNS = [("a", pa.array(["x", "y", "x"])), ("b", pa.array([7])), ("a", pa.array(["z", "x", "w", "v"])),
           ("a", pa.array(["x", "u"])), ("b", pa.array([7, -1]))]


def _gathered(counts):
    """Name -> counts of all buckets."""
    return (counts | beam.GroupByKey() | beam.MapTuple(
        lambda name, tables: (name, pa.concat_tables(tables).sort_by("value").to_pydict())))


@pytest.mark.parametrize(("pending", "buckets"), [(0, 1), (3, 16), (1 << 20, 5)])
def test_counts_depend_neither_on_the_pending_limit_nor_on_the_buckets(pending, buckets, monkeypatch):
    monkeypatch.setattr(counting, "MAX_PENDING_COUNTS", pending)
    with beam.Pipeline(options=pipeline_options([])) as pipeline:
        counts = _gathered(pipeline | beam.Create(COLUMNS, reshuffle=False) | CountValues(buckets))
        assert_that(counts, equal_to([
            ("a", {"value": ["u", "v", "w", "x", "y", "z"], "count": [1, 1, 1, 4, 1, 1]}),
            ("b", {"value": [-1, 7], "count": [1, 2]})]))


def test_a_name_without_values_is_counted():
    """A feature of lists that are all empty has a vocabulary without values, not no vocabulary."""
    empty = pa.array([], pa.string())
    with beam.Pipeline(options=pipeline_options([])) as pipeline:
        counts = (pipeline | beam.Create([("a", empty), ("b", pa.array([7])), ("a", empty)], reshuffle=False)
                  | CountValues(4)
                  | beam.MapTuple(lambda name, table: (name, str(table["value"].type), table.num_rows)))
        assert_that(counts, equal_to([("a", "string", 0), ("b", "int64", 1)]))


def test_counts_above_the_pending_limit_are_emitted(monkeypatch):
    monkeypatch.setattr(counting, "MAX_PENDING_COUNTS", 3)
    bundle = counting._CountBundle(2)
    bundle.start_bundle()
    assert [len(list(bundle.process(column))) > 0 for column in COLUMNS] == [False, False, True, False, False]


@pytest.mark.parametrize(("first", "num_counts"), [(["a", "b", "c", "d"], 4), (["a", "b", "a", "b"], 2)])
def test_values_that_hardly_repeat_are_not_merged_again(first, num_counts, monkeypatch):
    monkeypatch.setattr(counting, "MAX_PENDING_COUNTS", 3)
    bundle = counting._CountBundle(1)
    bundle.start_bundle()
    batches = [("a", pa.array(values)) for values in (first[:2], first[2:], ["p", "q"], ["p", "q"])]
    [*_, (_, table)] = [element for batch in batches for element in bundle.process(batch)]
    assert table.num_rows == num_counts
    assert sum(table["count"].to_pylist()) == 4
