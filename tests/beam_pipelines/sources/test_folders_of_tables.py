"""Tables in folders as Spark and Hive write them: nested folders, columns named by folders, hidden files."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from beam_pipelines.records.files import list_table_files
from beam_pipelines.sources import open_source
from beam_pipelines.sources.path_columns import path_values
from tfrs_pretrain.config import Source
from tfrs_pretrain.errors import UserError


def _read(tmp_path, declared, columns):
    source = open_source("t", declared, str(tmp_path))
    types = [types for _, types in source.column_types()]
    assert all(known is None or set(columns) <= set(known) for known in types)
    return [row for batch in source.read_all(columns) for row in batch.columns.to_pylist()]


def test_partitions_are_those_of_pyarrow(tmp_path):
    table = pa.table({"x": [1, 2, 3, 4], "day": ["2024-03-01", "2024-03-02", "2024-03-01", None],
                      "tab": ["a/b=ü", "c d", "c d", "c d"]})
    pq.write_to_dataset(table, tmp_path / "logs", partition_cols=["day", "tab"])
    (tmp_path / "logs" / "_SUCCESS").touch()
    rows = _read(tmp_path, "logs", ["tab", "x", "day"])
    assert sorted(rows, key=lambda row: row["x"]) == [
        {"tab": tab, "x": x, "day": day} for x, day, tab in zip(*table.to_pydict().values(), strict=True)]
    partitioning = pyarrow.dataset.partitioning(pa.schema([("day", pa.string()), ("tab", pa.string())]), flavor="hive")
    oracle = pyarrow.dataset.dataset(tmp_path / "logs", partitioning=partitioning).to_table(["tab", "x", "day"])
    assert sorted(map(str, rows)) == sorted(map(str, oracle.to_pylist()))


def test_a_column_of_the_file_comes_before_one_of_the_folder(tmp_path):
    (tmp_path / "week=7").mkdir()
    pq.write_table(pa.table({"week": [31], "x": [1]}), tmp_path / "week=7" / "a.parquet")
    assert _read(tmp_path, "week=7", ["week", "x"]) == [{"week": 31, "x": 1}]


@pytest.mark.parametrize("form", ["csv", "jsonl", "avro"])
def test_other_formats_have_columns_of_folders_too(form, tmp_path):
    import fastavro

    for week in (7, 8):
        folder = tmp_path / "logs" / f"week={week}"
        folder.mkdir(parents=True)
        if form == "csv":
            (folder / "a.csv").write_text(f"x\n{week}\n")
        elif form == "jsonl":
            (folder / "a.jsonl").write_text(json.dumps({"x": week}) + "\n")
        else:
            with (folder / "a.avro").open("wb") as file:
                fastavro.writer(file, {"type": "record", "name": "r", "fields": [{"name": "x", "type": "long"}]},
                                [{"x": week}])
    assert _read(tmp_path, Source(path="logs", format=form), ["week", "x"]) == [
        {"week": "7", "x": "7"}, {"week": "8", "x": "8"}]


def test_names_of_folders():
    assert path_values("/a/day=1/tab=x%2Fy=z/=q/k=/part=7.parquet") == {"day": "1", "tab": "x/y=z", "k": ""}
    assert path_values("day=__HIVE_DEFAULT_PARTITION__/x") == {"day": None}


@pytest.fixture
def nested(tmp_path):
    for name in ("t/day=1/a.parquet", "t/day=2/deep/b.parquet", "t/_x=1/c.parquet", "t/_temporary/0/d.parquet",
                 "t/.tmp/e.parquet", "t/day=1/._a.parquet", "t/day=1/_metadata.parquet", "t/day=1/.a.parquet.crc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _names(tmp_path, pattern):
    return [str(Path(path).relative_to(tmp_path)) for path in list_table_files("t", f"{tmp_path}/{pattern}")]


@pytest.mark.parametrize("pattern", ["t", "t/", "t/**.parquet"])
def test_folders_are_searched_and_hidden_names_skipped(pattern, nested):
    assert _names(nested, pattern) == ["t/_x=1/c.parquet", "t/day=1/a.parquet", "t/day=2/deep/b.parquet"]


def test_hidden_names_can_be_declared(nested):
    assert _names(nested, "t/_temporary") == ["t/_temporary/0/d.parquet"]
    assert _names(nested, "t/day=1/_*.parquet") == ["t/day=1/_metadata.parquet"]
    assert _names(nested, "t/day=1/._a.parquet") == ["t/day=1/._a.parquet"]


def test_files_beside_folders_of_files_are_refused(nested):
    """Before, the files in the folders were left out without a word."""
    (nested / "t" / "z.parquet").touch()
    with pytest.raises(UserError, match=r"contains files, such as '.*/t/z\.parquet', and also folders with files, such "
                                        r"as '.*/t/_x=1/c\.parquet': name those .* '.*/t/\*' or '.*/t/\*\*'"):
        _names(nested, "t")
    assert _names(nested, "t/**.parquet")[-1] == "t/z.parquet"
    assert _names(nested, "t/*.parquet") == ["t/z.parquet"]


def test_a_folder_named_like_a_file(tmp_path):
    """Spark names the folder that it writes, and a folder may have one for each day."""
    for day in (1, 2):
        pd.DataFrame({"x": [day]}).to_parquet(_made(tmp_path / "t" / f"{day}.parquet") / "part-0.parquet")
    assert _read(tmp_path, "t", ["x"]) == [{"x": 1}, {"x": 2}]
    assert _read(tmp_path, "t/1.parquet", ["x"]) == [{"x": 1}]


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path
