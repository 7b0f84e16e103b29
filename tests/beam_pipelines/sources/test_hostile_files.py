"""Files as other tools write them: other line ends, other formats under a wrong name, cut characters, deep nesting."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.logs.text_values import parse
from beam_pipelines.sources import open_source
from tfrs_pretrain.errors import UserError


def test_a_parquet_column_that_occurs_twice_is_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "b", "a"]),
                   tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"is not readable as Parquet \(column 'a' occurs 2 times, expected each"):
        list(open_source("t", "t.parquet", str(tmp_path)).column_types())


def refusal(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(open_source("t", name, str(folder)).column_types())
    assert "\n" not in str(caught.value)
    assert f"{str(folder / name)!r} is not readable as " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("content", "words"), [
    (b"a,b\r1,2\r3,4\r", r"line 1, the header: a line ends with \r alone, expected \n or \r\n"),
    (b"a,b\r" + b"1,2\r" * 3_000_000, r"the header, has more than dataset.max_line_bytes = 10"),
    (b'a,"b\n1,2\n', "line 1, the header: a quote is not closed"),
    (b'a,"b\n' + b"1,2\n" * 100_000, "line 1, the header: a quote is not closed"),
    (b'"a"b,c\n1,2\n', "line 1, the header: ',' expected after '\"'"),
    (gzip.compress(b"a,b\n1,2\n"), "it is compressed with gzip: its name must end in .gz"),
    (b"PK\x03\x04rest", "it is a ZIP archive or an Excel workbook"),
    ("a,b\n".encode("utf-16"), "it is UTF-16 text: save it as UTF-8"),
])
def test_a_csv_file_that_is_none_says_what_it_is(content, words, tmp_path):
    assert words in refusal(tmp_path, "t.csv", content)


def test_json_lines_under_a_wrong_name_say_what_they_are(tmp_path):
    assert "it is compressed with gzip" in refusal(tmp_path, "t.jsonl", gzip.compress(b"{}\n"))


def test_a_carriage_return_inside_a_row_costs_that_row(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\r\n1,2\r\n3,x\ry\r\n5,6\r\n")
    [batch] = open_source("t", "t.csv", str(tmp_path)).read_all(["a", "b"])
    assert batch.columns.to_pylist() == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
    [row] = batch.malformed
    assert (row.position, row.reason) == (3, "malformed row")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(("line", "reason"), [
    ('{"a": "cut \\ud83d"}', "half of a surrogate pair"), ('{"a": ["x", "\\udc00"]}', "half of a surrogate pair"),
    (f'{{"a": {DEEP}}}', "nested too deeply"), (f'{{"a": 1, "other": {DEEP}}}', "nested too deeply"),
    (f'{{"a": {"9" * 5000}}}', "not a JSON object"),
])
@pytest.mark.parametrize("first", [True, False])
def test_a_bad_line_of_json_costs_one_row(line, reason, first, tmp_path):
    if first and reason == "not a JSON object":
        pytest.skip("a first line that is no JSON object is another format")
    good = '{"a": "whole \\ud83d\\ude00", "other": "\\ud83d"}'
    (tmp_path / "t.jsonl").write_text("\n".join([line, good] if first else [good, line]))
    source = open_source("t", "t.jsonl", str(tmp_path))
    list(source.column_types())
    [batch] = source.read_all(["a"])
    assert batch.columns.to_pylist() == [{"a": "whole 😀"}]
    assert [(row.position, row.reason) for row in batch.malformed] == [(1 if first else 2, reason)]


@pytest.mark.parametrize("text", ['["\\ud83d"]', DEEP, "7", "null x"])
def test_an_array_in_a_text_that_cannot_be_parsed_is_one_bad_value(text):
    values, bad = parse(pa.array(['["a"]', text]), "string[]")
    assert values[0].as_py() == ["a"]
    assert list(bad) == [False, True]
