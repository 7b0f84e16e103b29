"""Small inputs that would fill the memory: the oversized row is rejected or the file refused; the rest is read."""

import gzip
import io
import json
import tracemalloc

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.sources import open_source
from beam_pipelines.sources.avro_blocks import DECOMPRESSORS
from beam_pipelines.sources.limits import LimitedFile, bounded_lines
from beam_pipelines.sources.text import MAX_BATCH_CHARACTERS
from tfrs_pretrain.config import DatasetConfig
from tfrs_pretrain.errors import UserError


def _read(tmp_path, name: str, columns: list[str], **limits):
    source = open_source("t", name, str(tmp_path), DatasetConfig(**limits))
    batches = list(source.read_all(columns))
    return ([row for batch in batches for row in batch.columns.to_pylist()],
            [position for batch in batches for position in batch.positions.tolist()],
            [row for batch in batches for row in batch.malformed])


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_a_line_is_limited_with_its_ending(ending):
    """The last line may lack an ending."""
    lines = list(bounded_lines(io.BytesIO(b"1\n" + b"x" * 9 + b"\n12345" + ending.encode()), 7))
    assert lines == [b"1\n", b"x" * 8, b"12345" + ending.encode()]
    assert list(bounded_lines(io.BytesIO(b"1234567\nab"), 7)) == [b"1234567\n", b"ab"]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_an_oversized_json_line_is_one_rejected_row(suffix, tmp_path):
    lines = [json.dumps({"id": text}) for text in ("a", "é" * 100, "b")]
    content = "\n".join(lines).encode()
    (tmp_path / f"t.{suffix}").write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    rows, positions, [bad] = _read(tmp_path, f"t.{suffix}", ["id"], max_line_bytes=64)
    assert (rows, positions) == ([{"id": "a"}, {"id": "b"}], [1, 3])
    assert (bad.position, bad.reason) == (2, "oversized line")
    assert bad.text.startswith('{"id": "\\u00e9') and len(bad.text) < 250


@pytest.mark.parametrize("line", [b"7," + b"y" * 80, b'7,"' + b"y" * 80, b'"' * 90])
def test_an_oversized_csv_line_is_one_rejected_row(line, tmp_path):
    """Also with a quote that it does not close."""
    (tmp_path / "t.csv").write_bytes(b"id,name\n1,a\n" + line + b"\n2,b\n3,\xff\n")
    rows, positions, malformed = _read(tmp_path, "t.csv", ["id"], max_line_bytes=64)
    assert (rows, positions) == ([{"id": "1"}, {"id": "2"}], [2, 4])
    assert [(row.position, row.reason) for row in malformed] == [(3, "oversized line"), (5, "not UTF-8")]
    assert malformed[0].text == line[:65].decode() + "…"


def test_the_first_json_line_may_be_oversized(tmp_path):
    (tmp_path / "t.jsonl").write_text(json.dumps({"id": "v" * 100}) + '\n{"id": "a"}\n')
    source = open_source("t", "t.jsonl", str(tmp_path), DatasetConfig(max_line_bytes=64))
    assert [types for _, types in source.column_types()] == [None]


def test_an_oversized_header_is_one_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"id," + b"n" * 80 + b"\n1,a\n")
    with pytest.raises(UserError, match=r"the header, has more than dataset\.max_line_bytes = 64 bytes"):
        list(open_source("t", "t.csv", str(tmp_path), DatasetConfig(max_line_bytes=64)).column_types())


@pytest.mark.parametrize(("name", "head"), [("t.jsonl.gz", b'{"id": "'), ("t.csv.gz", b"id\n")])
def test_a_gzip_bomb_is_refused_without_filling_the_memory(name, head, tmp_path):
    with gzip.open(tmp_path / name, "wb") as file:
        file.write(head)
        for _ in range(64):
            file.write(b"v" * (1 << 20))
    assert (tmp_path / name).stat().st_size < 1 << 17
    tracemalloc.start()
    with pytest.raises(UserError, match=r"compressed bytes contain at least .*max_decompression_ratio = 200 accepts"):
        _read(tmp_path, name, ["id"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 25


def test_a_bomb_of_short_lines_is_refused_and_a_higher_ratio_accepted(tmp_path):
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress((b" " * 999 + b"\n") * 17000))
    with pytest.raises(UserError, match="max_decompression_ratio"):
        _read(tmp_path, "t.jsonl.gz", ["id"])
    assert _read(tmp_path, "t.jsonl.gz", ["id"], max_decompression_ratio=2000) == ([], [], [])


def test_the_ratio_of_a_short_content_is_not_checked(tmp_path):
    content = (b" " * 999 + b"\n") * 1000
    with io.BytesIO(gzip.compress(content)) as file:
        limited = LimitedFile("x", file, gzip.GzipFile(fileobj=file), 2)
        assert sum(map(len, bounded_lines(limited, 1000))) == len(content)


def test_a_parquet_bomb_is_refused(tmp_path):
    table = pa.table({"id": pa.array(["v" * (1 << 20)] * 20)})
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=False, compression="gzip")
    with pytest.raises(UserError, match="max_decompression_ratio"):
        _read(tmp_path, "t.parquet", ["id"])
    assert len(_read(tmp_path, "t.parquet", ["id"], max_decompression_ratio=1e6)[0]) == 20


def test_repeated_texts_of_parquet_do_not_fill_the_memory(tmp_path):
    """The text is stored once: 600 rows would be 600 MB in one batch."""
    pq.write_table(pa.table({"id": ["v" * (1 << 20)] * 600, "other": range(600)}), tmp_path / "t.parquet",
                   compression="gzip", row_group_size=500)
    assert (tmp_path / "t.parquet").stat().st_size < 1 << 20
    parts = [(len(batch.positions), batch.columns.nbytes)
             for batch in open_source("t", "t.parquet", str(tmp_path), DatasetConfig(max_decompression_ratio=1e6))
             .read_all(["id", "other"])]
    assert [num_rows for num_rows, _ in parts] == [256, 244, 100]
    assert max(num_bytes for _, num_bytes in parts) < 257 << 20


def test_batches_of_parquet_without_long_texts_are_complete(tmp_path):
    pq.write_table(pa.table({"id": ["a", None] * 500, "none": pa.array([None] * 1000, pa.string()),
                             "n": range(1000)}), tmp_path / "t.parquet")
    for columns in (["id", "n"], ["none"], ["n"]):
        [batch] = open_source("t", "t.parquet", str(tmp_path)).read_all(columns)
        assert batch.columns.schema.names == columns
        assert batch.positions.tolist() == list(range(1000))


def _write_avro(path, ids, codec, **options):
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "row", "fields": [{"name": "id", "type": "string"}]},
                        ({"id": text} for text in ids), codec=codec, **options)


@pytest.mark.parametrize("codec", ["deflate", "bzip2", "xz"])
def test_an_avro_bomb_is_refused_without_filling_the_memory(codec, tmp_path):
    _write_avro(tmp_path / "t.avro", ["v" * (1 << 26)], codec)
    assert (tmp_path / "t.avro").stat().st_size < 1 << 17
    tracemalloc.start()
    with pytest.raises(UserError, match=r"compressed bytes contain at least .*max_decompression_ratio = 200 accepts"):
        _read(tmp_path, "t.avro", ["id"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 26
    assert len(_read(tmp_path, "t.avro", ["id"], max_decompression_ratio=1e6)[0]) == 1


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_blocks_of_avro_are_read_in_order(codec, tmp_path):
    """Rows of two megabytes in small blocks, decoded in several groups."""
    ids = [f"é{number:08d}" * 10 for number in range(20000)]
    _write_avro(tmp_path / "t.avro", ids, codec, sync_interval=5000)
    rows, positions, malformed = _read(tmp_path, "t.avro", ["id"])
    assert ([row["id"] for row in rows], positions, malformed) == (ids, list(range(20000)), [])
    _write_avro(tmp_path / "t.avro", [], codec)
    assert _read(tmp_path, "t.avro", ["id"]) == ([], [], [])


def test_zstandard_is_decompressed_in_steps():
    content = b"v" * (3 << 20)
    compressed = pa.compress(content, codec="zstd", asbytes=True)
    steps = list(DECOMPRESSORS["zstandard"](compressed))
    assert (b"".join(steps), max(map(len, steps))) == (content, 1 << 20)


def test_a_batch_of_long_rows_ends_early(tmp_path):
    row = json.dumps({"id": "v" * (1 << 19)}) + "\n"
    num_rows = MAX_BATCH_CHARACTERS // (1 << 19) + 5
    (tmp_path / "t.jsonl").write_text(row * num_rows)
    batches = list(open_source("t", "t.jsonl", str(tmp_path)).read_all(["id"]))
    assert [batch.columns.num_rows for batch in batches] == [num_rows - 5, 5]


def test_a_batch_of_long_malformed_lines_ends_early(tmp_path):
    num_lines = MAX_BATCH_CHARACTERS // (1 << 19) + 5
    (tmp_path / "t.jsonl").write_text(("v" * (1 << 19) + "\n") * num_lines)
    batches = list(open_source("t", "t.jsonl", str(tmp_path)).read_all(["id"]))
    assert [len(batch.malformed) for batch in batches] == [num_lines - 5, 5]
