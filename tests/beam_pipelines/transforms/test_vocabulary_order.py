"""The order of counted ids: that of a sorted list, whatever the buckets and ranges are."""

from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from planted import planted_config

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.transforms import vocabulary_order
from beam_pipelines.transforms.counting import CountValues
from beam_pipelines.transforms.vocabulary_order import OrderCounts, choose_bounds, cut_into_ranges, sample_keys
from tfrs_pretrain.config import Config

rng = np.random.default_rng(1)
ITEMS = [f"{value:x}é" for value in rng.zipf(1.3, 3000) % 900]
USERS = rng.integers(-200, 200, 1500)


def _naive(values, min_count):
    distinct, counts = np.unique(np.array(values), return_counts=True)
    pairs = [(-int(count), value) for value, count in zip(distinct.tolist(), counts, strict=True) if count >= min_count]
    return [(value, -count) for count, value in sorted(
        pairs, key=lambda pair: (pair[0], pair[1].encode() if isinstance(pair[1], str) else pair[1]))]


@pytest.mark.parametrize(("buckets", "step", "size", "extend"), [
    (1, 1 << 10, 1 << 20, False), (7, 3, 40, False), (3, 1, 1, True)])
def test_ranges_in_order_are_the_sorted_counts(buckets, step, size, extend, tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary_order, "SAMPLE_STEP", step)
    monkeypatch.setattr(vocabulary_order, "IDS_PER_RANGE", size)
    tree = planted_config()
    tree["schema"]["item"] |= {"min_count": 2}
    job = Job(Config.model_validate(tree), "raw", str(tmp_path), extend="earlier" if extend else None)
    columns = [("item", pa.array(ITEMS[:1000])), ("user", pa.array(USERS)), ("item", pa.array(ITEMS[1000:])),
               ("surface", pa.array([], pa.string()))]
    naive = {"item": _naive(ITEMS, 1 if extend else 2), "user": _naive(USERS, 1), "surface": []}

    with beam.Pipeline(options=pipeline_options([])) as pipeline:
        ranges = pipeline | beam.Create(columns, reshuffle=False) | CountValues(buckets) | OrderCounts(job)
        assert_that(ranges | beam.MapTuple(_read), equal_to(list(naive.items())))
    sizes = [pa.ipc.open_stream(path.read_bytes()).read_all().num_rows
             for path in Path(job.path(RESULTS_FOLDER)).glob("counts-item-*")]
    if size == 40:
        assert len(sizes) >= 6
        assert max(sizes) <= size + buckets * step


def _read(name, ranges):
    tables = [each.read() for each in sorted(ranges)]
    assert [table.num_rows for table in tables] == [each.num_rows for each in sorted(ranges)]
    return name, [pair for table in tables for pair in zip(*table.to_pydict().values(), strict=True)]


def test_a_bound_begins_its_range_and_ids_of_one_count_are_divided():
    ordered = pa.table({"value": ["b", "a", "c", "d"], "count": [5, 2, 2, 1]})
    bounds = pa.table({"value": ["zz", "c", "c"], "count": [5, 2, 2]})
    pieces = {number: piece["value"].to_pylist()
              for (_, number), piece in cut_into_ranges(("item", ordered), {"item": bounds})}
    assert pieces == {0: ["b"], 1: ["a"], 3: ["c", "d"]}


def test_bounds_are_taken_from_samples_of_all_buckets(monkeypatch):
    monkeypatch.setattr(vocabulary_order, "SAMPLE_STEP", 2)
    monkeypatch.setattr(vocabulary_order, "IDS_PER_RANGE", 4)
    samples = [sample_keys("u", pa.table({"value": values, "count": [1] * 4}))[1] for values in (
        [1, 3, 5, 7], [2, 4, 6, 8])]
    assert [table["value"].to_pylist() for table in samples] == [[3, 7], [4, 8]]
    assert choose_bounds("u", samples)[1]["value"].to_pylist() == [4, 8]
