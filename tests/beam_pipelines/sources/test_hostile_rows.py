"""A row that cannot be read costs one row; a file that is in another form is refused in one line that says how."""

import gzip
import json

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.sources import open_source
from tfrs_pretrain.errors import UserError


def read(folder, name, columns):
    """Rows and (position, reason) of malformed rows."""
    batches = list(open_source("t", name, str(folder)).read_all(columns))
    return ([row for batch in batches for row in batch.columns.to_pylist()],
            [(row.position, row.reason) for batch in batches for row in batch.malformed])


def test_half_an_emoji_costs_one_row(tmp_path):
    lines = ['{"id": "a"}', '{"id": "\\ud83d"}', '{"id": "\\ud83d\\ude00"}', '{"other": "\\ud83d"}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert read(tmp_path, "t.jsonl", ["id", "x"]) == (
        [{"id": "a", "x": None}, {"id": "😀", "x": None}, {"id": None, "x": None}], [(2, "half of a surrogate pair")])


def test_a_deeply_nested_line_costs_one_row(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"id": "a"}\n{"id": ' + "[" * 100_000 + '\n{"id": "b"}\n')
    assert read(tmp_path, "t.jsonl", ["id"]) == ([{"id": "a"}, {"id": "b"}], [(2, "not a JSON object")])


CSV = b"id,name\n1,a\n"
REFUSED = {
    "csv: carriage returns": ("t.csv", CSV.replace(b"\n", b"\r"), "convert the line ends to LF"),
    "csv: compressed": ("t.csv", gzip.compress(CSV), "let its name end in .gz"),
    "csv: quote in the header": ("t.csv", b'id,"name\n1,a\n', "line 1, the header: unexpected end of data"),
    "jsonl: compressed": ("t.jsonl", gzip.compress(b"{}"), "let its name end in .gz"),
    "jsonl: nested": ("t.jsonl", b"[" * 100_000, "line 1: expected an object"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_in_another_form_is_refused(case, tmp_path):
    name, content, message = REFUSED[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        list(open_source("t", name, str(tmp_path)).column_types())
    assert "\n" not in str(caught.value)


def test_a_parquet_column_that_occurs_twice_is_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["id", "id"]), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="each column once"):
        list(open_source("t", "t.parquet", str(tmp_path)).column_types())


def test_a_damaged_avro_schema_is_refused(tmp_path):
    schema = {"type": "record", "name": "row", "fields": [{"name": "id", "type": "long"}]}
    with (tmp_path / "t.avro").open("wb") as file:
        fastavro.writer(file, schema, [{"id": 1}])
    content = (tmp_path / "t.avro").read_bytes()
    assert json.dumps({"name": "id"})[1:-1].encode() in content
    (tmp_path / "t.avro").write_bytes(content.replace(b'"name": "id"', b'"n!me": "id"'))
    with pytest.raises(UserError, match=r"is not readable as Avro .*missing 'name'"):
        list(open_source("t", "t.avro", str(tmp_path)).column_types())
