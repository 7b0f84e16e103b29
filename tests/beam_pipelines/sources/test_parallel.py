"""Files are opened at the same time; results and errors keep the order of the files."""

import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.sources import open_source, parallel
from beam_pipelines.sources.parallel import map_files
from tfrs_pretrain.config import DatasetConfig


def test_results_have_the_order_of_the_paths():
    def slow_first(path: str) -> str:
        time.sleep(.05 if path == "a" else 0)
        return path.upper()

    assert list(map_files(slow_first, ["a", "b", "c"])) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert list(map_files(str.upper, [])) == []


def test_files_are_open_at_the_same_time():
    barrier = threading.Barrier(8, timeout=20)  # breaks unless eight calls run together
    assert len(list(map_files(lambda _: barrier.wait(), map(str, range(8))))) == 8


def test_the_first_error_in_order_is_raised_and_the_rest_is_not_opened(monkeypatch):
    monkeypatch.setattr(parallel, "MAX_OPEN_FILES", 1)
    opened = []

    def open_file(path: str) -> None:
        opened.append(path)
        if path in "bc":
            raise ValueError(path)

    with pytest.raises(ValueError, match="b"):
        list(map_files(open_file, [*"abc", *map(str, range(1000))]))
    assert opened[:2] == ["a", "b"]
    assert len(opened) < 1000


def test_each_file_of_a_table_is_listed_and_opened_once(tmp_path, monkeypatch):
    """Their time and number of requests decide on an object store."""
    for number in range(20):
        pq.write_table(pa.table({"x": [number, number]}), tmp_path / f"part-{number:02d}.parquet")
    source = open_source("t", str(tmp_path), "raw", DatasetConfig())
    opened: list[str] = []
    listed: list[list[str]] = []
    open_one, match = FileSystems.open, FileSystems.match
    monkeypatch.setattr(FileSystems, "open", lambda path, **options: opened.append(path) or open_one(path, **options))
    monkeypatch.setattr(FileSystems, "match", lambda patterns: listed.append(patterns) or match(patterns))
    paths = [str(tmp_path / f"part-{number:02d}.parquet") for number in range(20)]
    assert [path for path, _ in source.column_types()] == paths
    assert (sorted(opened), [len(patterns) for patterns in listed]) == (paths, [2])
    assert [(path, size > 0, time > 0) for path, (size, time) in source.file_states()] == [
        (path, True, True) for path in paths]
    assert [len(patterns) for patterns in listed] == [2, 2]
    rows = [value for batch in source.read_all(["x"]) for value in batch.columns["x"].to_pylist()]
    assert rows == [number // 2 for number in range(40)]
