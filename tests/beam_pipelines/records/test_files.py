"""Complete files or none; tables as files, folders and patterns."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline

from beam_pipelines.records.files import (
    WriteJson,
    atomic_write,
    list_table_files,
    open_file,
    read_json,
)
from tfrs_pretrain.errors import UserError


@pytest.fixture
def tables(tmp_path):
    for name in ("b.parquet", "a.parquet", "c.csv", "folder/x.csv.gz", "folder/y.csv", "folder/_SUCCESS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(("pattern", "suffixes", "expected"), [
    ("a.parquet", (".parquet",), ["a.parquet"]),
    (".", (".parquet",), ["./a.parquet", "./b.parquet"]),
    ("*.parquet", (".parquet",), ["a.parquet", "b.parquet"]),
    ("folder", (".csv", ".csv.gz"), ["folder/x.csv.gz", "folder/y.csv"]),
    ("folder", (".csv",), ["folder/y.csv"]),
    ("c.csv", (".parquet",), ["c.csv"]),
])
def test_a_table_is_a_file_a_folder_or_a_pattern(pattern, suffixes, expected, tables):
    assert [*list_table_files("t", f"{tables}/{pattern}", suffixes)] == [f"{tables}/{path}" for path in expected]


@pytest.mark.parametrize("name", ["run[1]", "a*b", "what?", "[", "[!x]"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_folder_that_looks_like_a_pattern_is_a_folder(name, relative, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("a.parquet", "deep/b[2].parquet", "deep/c.parquet"):
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_bytes(b"")
    root = name if relative else f"{tmp_path}/{name}"
    for pattern, expected in (("a.parquet", ["a.parquet"]), ("deep", ["deep/b[2].parquet", "deep/c.parquet"]),
                              ("d*/[c].parquet", ["deep/c.parquet"]), ("deep/b[2].parquet", ["deep/b[2].parquet"])):
        found = list_table_files("t", f"{root}/{pattern}")
        assert [Path(path).resolve() for path in found] == [tmp_path / name / path for path in expected]
    [state] = list_table_files("t", f"{root}/a.parquet").values()
    assert state == (0, pytest.approx((tmp_path / name / "a.parquet").stat().st_mtime))


def test_hidden_files_are_no_parts_of_a_table(tables):
    """macOS writes ``._x`` beside each file on foreign file systems, and other tools write temporary files."""
    for name in ("._x.csv", ".y.csv.a1b2"):
        (tables / "folder" / name).write_bytes(b"\x00\x05\x16\x07")
    for pattern in ("folder", "folder/*.csv", "folder/*"):
        assert not [path for path in list_table_files("t", f"{tables}/{pattern}", (".csv",)) if "/." in path]
    assert [*list_table_files("t", f"{tables}/folder/._*", (".csv",))] == [f"{tables}/folder/._x.csv"]
    (tables / "folder" / "y.csv").unlink()
    with pytest.raises(UserError, match="no file at"):
        list_table_files("t", f"{tables}/folder", (".csv",))


@pytest.mark.parametrize("pattern", ["missing.parquet", "folder", "d*"])
def test_a_table_without_files_is_refused(pattern, tables):
    with pytest.raises(UserError, match=r"table items: no file at '.*', expected a file, a folder of \.parquet files"):
        list_table_files("items", f"{tables}/{pattern}")


@pytest.mark.parametrize("pattern", ["folder", "folder/*.csv"])
def test_a_link_to_a_missing_file_is_refused(pattern, tables):
    (tables / "folder" / "z.csv").symlink_to(tables / "gone.csv")
    with pytest.raises(UserError, match=r"table t: '.*/folder/z\.csv' cannot be read \(a link to a missing file"):
        list_table_files("t", f"{tables}/{pattern}", (".csv",))


def test_a_folder_among_the_files_of_a_table_is_refused(tables):
    (tables / "folder" / "z.csv").mkdir()
    with pytest.raises(UserError, match=r"'.*/z\.csv' is a folder among files"):
        list_table_files("t", f"{tables}/folder", (".csv",))


def test_a_file_system_that_beam_does_not_know_is_named():
    with pytest.raises(UserError, match=r"table items: 'nowhere://x' cannot be listed .* correct dataset\.sources\.i"):
        list_table_files("items", "nowhere://x")


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_write(str(path)) as file:
        file.write(b"content")
        assert not path.exists()
        [temporary] = path.parent.iterdir()
        assert temporary.name.startswith(".file.")
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_attempts_use_different_temporary_names(tmp_path):
    with atomic_write(str(tmp_path / "file")) as first, atomic_write(str(tmp_path / "file")) as second:
        first.write(b"1")
        second.write(b"2")
        assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_write_keeps_the_previous_file(tmp_path):
    (tmp_path / "file").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), atomic_write(str(tmp_path / "file")) as file:
        file.write(b"after")
        raise ZeroDivisionError
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"before")]


def test_a_refusal_of_the_file_system_is_a_user_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"'.*/file/x' cannot be written \(.*\): check the path"), \
            atomic_write(str(tmp_path / "file" / "x")):
        pass


def test_files_are_opened_without_decompression(tmp_path):
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8bnot really")
    with open_file(str(tmp_path / "x.gz")) as file:
        assert file.read() == b"\x1f\x8bnot really"


def test_json_is_written_with_sorted_keys(tmp_path):
    path = str(tmp_path / "results" / "x.json")
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | beam.Create([{"b": [1, 2.5], "a": "é"}]) | WriteJson(path)
    assert (tmp_path / "results" / "x.json").read_text() == '{"a": "\\u00e9", "b": [1, 2.5]}'
    assert read_json(path) == {"a": "é", "b": [1, 2.5]}
