"""Files to statistics: chunks, damaged files, malformed records, blocks."""

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.records.blocks import encode_block
from beam_pipelines.records.example_encoder import encode_examples
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.tfrecord_writer import write_tfrecord
from beam_pipelines.validation import record_measuring
from beam_pipelines.validation.dataset import ExpectedColumn
from beam_pipelines.validation.record_measuring import measure_file, measure_records
from beam_pipelines.validation.record_statistics import SplitStatistics, VocabularyRows

KEY = ("dataset", "impressions/train")
EXPECTED = {KEY: {"item": ExpectedColumn("int64", "item", rows=VocabularyRows(1, 4, exact=True))}}


def _records(*contents: bytes) -> RecordBuffer:
    return RecordBuffer(np.frombuffer(b"".join(contents), np.uint8), np.cumsum([0, *map(len, contents)]))


def _examples(values: list[int]) -> RecordBuffer:
    return encode_examples({"item": pa.array(values), "x": pa.array(np.array(values, np.float32))})


def _total(parts) -> dict:
    return sum(parts, SplitStatistics()).to_json()


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_chunks_do_not_change_the_sum(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(record_measuring, "CHUNK_RECORDS", chunk)
    path = str(tmp_path / "x.tfrecord")
    write_tfrecord(path, [_examples([0, 1, 3, 4, 9])])
    measured = list(measure_file(*KEY, path, EXPECTED))
    assert len(measured) == -(-5 // chunk)
    assert {key for key, _ in measured} == {KEY}
    total = _total(statistics for _, statistics in measured)
    assert (total["records"], total["examples"], total["damaged"]) == (5, 5, {})
    item = total["columns"]["item"]
    assert (item["values"], item["oov"], item["unknown"], item["histogram"]) == (5, 1, 2, [[1, 3], [1, 1]])
    assert total["columns"]["x"]["mean"] == 3.4


def test_a_split_without_files_has_empty_statistics():
    assert list(measure_file(*KEY, None, EXPECTED)) == [(KEY, SplitStatistics())]


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-1]), lambda path: path.unlink()])
def test_a_damaged_or_missing_file_is_named(damage, tmp_path):
    path = tmp_path / "x.tfrecord"
    write_tfrecord(str(path), [_examples([1])])
    damage(path)
    total = _total(statistics for _, statistics in measure_file(*KEY, str(path), EXPECTED))
    assert list(total["damaged"]) == [str(path)]
    assert "\n" not in total["damaged"][str(path)]


@pytest.mark.parametrize("bad", [[0], [4], [1, 2], [0, 1, 2, 3, 4]])
def test_malformed_records_are_counted_and_the_others_measured(bad):
    examples = _examples([1, 1, 1, 1, 1])
    contents = [examples.data[start:end].tobytes() for start, end in zip(examples.offsets, examples.offsets[1:],
                                                                         strict=False)]
    records = _records(*(b"bad" if place in bad else content for place, content in enumerate(contents)))
    total = _total(measure_records(records, EXPECTED[KEY]))
    assert (total["records"], total["malformed"], total["examples"]) == (5, len(bad), 5 - len(bad))
    assert total["columns"].get("item", {"values": 0})["values"] == 5 - len(bad)


PAIRS = {"query": ExpectedColumn("string", "user", "<i4", rows=VocabularyRows(2, 10, exact=True)),
         "weight": ExpectedColumn("string", None, "<f4")}


def test_blocks_are_unpacked_and_their_pairs_counted():
    block = encode_block({"query": pa.array([1, 2, 12], pa.int32()), "weight": pa.array([0.5, 1.0, 1.5], pa.float32())})
    total = _total(measure_records(block, PAIRS))
    assert (total["records"], total["examples"]) == (1, 3)
    query, weight = total["columns"]["query"], total["columns"]["weight"]
    assert (query["dtypes"], query["not_single"]) == ({"string": 1}, 0)
    assert (query["values"], query["oov"], query["unknown"], query["histogram"]) == (3, 1, 1, [[2], [1]])
    assert (weight["values"], weight["mean"]) == (3, 1.0)


def test_an_incomplete_last_number_of_a_block_is_ignored():
    records = encode_examples({"query": pa.array([b"\5\0\0\0\6\0"])})
    query = _total(measure_records(records, PAIRS))["columns"]["query"]
    assert (query["values"], query["histogram"]) == (1, [[5], [1]])


def test_a_block_column_with_plain_numbers_is_measured_as_it_is():
    query = _total(measure_records(encode_examples({"query": pa.array([5, 6])}), PAIRS))["columns"]["query"]
    assert (query["dtypes"], query["values"]) == ({"int64": 2}, 2)


def test_columns_that_are_not_expected_are_measured_too():
    [statistics] = measure_records(_examples([7]), {})
    assert statistics.columns["item"].values == 1
    assert statistics.columns["item"].unknown == 0
