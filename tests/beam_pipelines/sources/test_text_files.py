"""Text files as exports write them: delimiters, encodings, TSV, compression."""

import bz2
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from beam_pipelines.sources import open_source
from tfrs_pretrain.config import DatasetConfig, Source
from tfrs_pretrain.errors import UserError

FRAME = pd.DataFrame({"user": ["é1", "2", 'q"x'], "item": ["a;b", "c\td", "e,f"], "n": ["1", None, "line\nend"]})


def _rows(tmp_path, declared, columns=("user", "item", "n"), limits=None):
    source = open_source("t", declared, str(tmp_path), limits)
    list(source.column_types())
    batches = list(source.read_all(list(columns)))
    return [row for batch in batches for row in batch.columns.to_pylist()], [
        row for batch in batches for row in batch.malformed]


def _zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(content)
    return sink.getvalue().to_pybytes()


COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": _zstd}


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t"), ("jsonl", None), ("ndjson", None)])
def test_the_rows_are_those_that_pandas_wrote(form, delimiter, suffix, tmp_path):
    text = (FRAME.to_csv(index=False, sep=delimiter) if delimiter
            else FRAME.to_json(orient="records", lines=True, force_ascii=False))
    (tmp_path / f"t.{form}{suffix}").write_bytes(COMPRESS[suffix](text.encode()))
    rows, malformed = _rows(tmp_path, f"t.{form}{suffix}")
    assert rows == FRAME.astype(object).where(FRAME.notna(), None).to_dict("records")
    assert malformed == []


@pytest.mark.parametrize("form", ["csv", "tsv"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "iso8859-15"])
def test_a_declared_encoding_and_delimiter(form, encoding, tmp_path):
    (tmp_path / f"t.{form}.gz").write_bytes(gzip.compress(FRAME.to_csv(index=False, sep=";").encode(encoding)))
    declared = Source(path=f"t.{form}.gz", format=form, delimiter=";", encoding=encoding)
    assert _rows(tmp_path, declared)[0][0]["user"] == "é1"
    assert len(_rows(tmp_path, declared)[0]) == 3


def test_long_files_of_two_byte_characters(tmp_path):
    """Characters may begin in one part of what is read at once and end in the next."""
    frame = pd.DataFrame({"user": np.arange(30000).astype(str), "item": "é\U0001f600"})
    (tmp_path / "t.csv").write_bytes(frame.to_csv(index=False).encode("utf-16"))
    rows, _ = _rows(tmp_path, Source(path="t.csv", format="csv", encoding="utf-16"), ("user", "item"))
    assert rows == frame.to_dict("records")


def test_a_row_in_another_encoding_is_malformed(tmp_path):
    (tmp_path / "t.csv").write_bytes("user,item\na,é\nb,€\n".encode("cp1252") + b"c,\x81\nd,e\n")
    rows, malformed = _rows(tmp_path, Source(path="t.csv", format="csv", encoding="cp1252"), ("user", "item"))
    assert [row["item"] for row in rows] == ["é", "€", "e"]
    assert [(row.position, row.reason) for row in malformed] == [(4, "not cp1252")]


def test_a_cut_utf16_file_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("user,item\na,b\n".encode("utf-16")[:-1])
    with pytest.raises(UserError, match=r"t\.csv' is not readable as CSV \(.*truncated data"):
        _rows(tmp_path, Source(path="t.csv", format="csv", encoding="utf-16"), ("user", "item"))


@pytest.mark.parametrize(("name", "content", "message"), [
    ("t.csv", b"user;item\n1;2\n", "line 1 has one column, 'user;item': if ';' separates the fields, set delimiter"),
    ("t.csv", b"user\titem\n1\t2\n", r"if '\\t' separates the fields, set delimiter in dataset\.sources\.t"),
    ("t.tsv", b"user,item\n1,2\n", "if ',' separates the fields"),
    ("t.csv", bz2.compress(b"user,item\n1,2\n"), r"compressed with bzip2: let its name end in \.bz2"),
    ("t.csv", _zstd(b"user,item\n1,2\n"), r"compressed with zstd: let its name end in \.zst"),
    ("t.csv.bz2", b"user,item\n1,2\n", "Invalid data stream"),
    ("t.csv.zst", b"user,item\n1,2\n", "as CSV"),
    ("t.csv.bz2", bz2.compress(b"user,item\n" + b"1,2\n" * 999)[:-9], "ended before"),
    ("t.csv.zst", _zstd(b"user,item\n" + b"1,2\n" * 999)[:-9], "as CSV")])
def test_what_is_declared_wrongly_is_named_in_one_line(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        _rows(tmp_path, name, ("user", "item"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".bz2", ".zst"])
def test_a_bomb_is_refused(suffix, tmp_path):
    content = b"user,item\n" + (b"1," + b"v" * 1000 + b"\n") * 40000
    (tmp_path / f"t.csv{suffix}").write_bytes(COMPRESS[suffix](content))
    with pytest.raises(UserError, match="max_decompression_ratio = 200 accepts"):
        _rows(tmp_path, f"t.csv{suffix}", ("user",))
    assert len(_rows(tmp_path, f"t.csv{suffix}", ("user",), DatasetConfig(max_decompression_ratio=1e6))[0]) == 40000


@pytest.mark.parametrize(("settings", "message"), [
    ({"format": "csv", "delimiter": "::"}, "a delimiter is one character"),
    ({"format": "csv", "delimiter": '"'}, "a delimiter is one character"),
    ({"format": "csv", "encoding": "utf9"}, "'utf9' is not the name of a text encoding"),
    ({"format": "csv", "encoding": "base64"}, "'base64' is not the name of a text encoding"),
    ({"format": "jsonl", "encoding": "latin-1"}, "belong to the formats csv and tsv, not to jsonl"),
    ({"format": "parquet", "delimiter": ";"}, "belong to the formats csv and tsv, not to parquet")])
def test_settings_are_checked_when_they_are_read(settings, message):
    with pytest.raises(ValueError, match=message):
        Source(path="x", **settings)
