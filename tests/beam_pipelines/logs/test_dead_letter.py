"""Files of the dead letter: few, sorted, of limited size."""

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from beam_pipelines.logs import dead_letter
from beam_pipelines.logs.dead_letter import WriteDeadLetter
from beam_pipelines.logs.rejected_rows import rejected_batch


def _write(tmp_path, batches, expected_files) -> None:
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        paths = pipeline | beam.Create(batches) | WriteDeadLetter(str(tmp_path), "log")
        assert_that(paths, equal_to([f"rejected/log-{number:05d}.parquet" for number in range(expected_files)]))


def test_few_rows_are_one_file_sorted_by_position(tmp_path):
    batches = [rejected_batch(["late", "bad"], ["b", "a"], [3, 9], ["{}", "[]"]),
               rejected_batch(["bad", "bad"], "a", [2, -1], ["x", "y"])]
    _write(tmp_path, batches, 1)
    assert pq.read_table(tmp_path / "rejected").to_pylist() == [
        {"reason": "bad", "file": "a", "position": 2, "values": "x"},
        {"reason": "bad", "file": "a", "position": 9, "values": "[]"},
        {"reason": "bad", "file": "a", "position": None, "values": "y"},
        {"reason": "late", "file": "b", "position": 3, "values": "{}"}]


def test_without_rows_there_is_no_file(tmp_path):
    _write(tmp_path, [], 0)
    assert list(tmp_path.iterdir()) == []


def test_many_rows_are_distributed_over_files(tmp_path, monkeypatch):
    monkeypatch.setattr(dead_letter, "ROWS_PER_FILE", 100)
    rows = [rejected_batch(["bad"] * 250, "a", list(range(start, start + 250)), ["v"] * 250) for start in (0, 250)]
    _write(tmp_path, rows, 5)
    sizes = [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "rejected").iterdir())]
    assert sum(sizes) == 500
    assert sizes == pytest.approx([100] * 5, abs=45)
