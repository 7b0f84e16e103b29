"""Pieces of batches against one filter per piece."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.utils.windowed_value import WindowedValue
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.records import partitions
from beam_pipelines.records.partitions import PartitionByHash, partition, without_name


def _batch(hashes: list[int], first: int = 0) -> pa.RecordBatch:
    places = range(first, first + len(hashes))
    texts = pa.array([f"{place}é" for place in places], pa.string())
    return pa.RecordBatch.from_pydict({
        "@hash": np.array(hashes, np.uint64), "x": pa.array(places, pa.int64()), "text": texts,
        "kind": texts.dictionary_encode(), "list": pa.array([[place] * (place % 3) for place in places],
                                                            pa.list_(pa.int64())),
        "missing": pa.array([None if place % 2 else place for place in places], pa.int64())})


@given(st.lists(st.sampled_from([-7, 0, 1, 2, 65535, 65536, 2**40]), max_size=30))
def test_a_piece_has_the_rows_of_its_number_in_their_order(numbers):
    batch, array = _batch([0] * len(numbers)), np.array(numbers, np.int64)
    pieces = list(partition(batch, array))
    assert [number for number, _ in pieces] == sorted(set(numbers))
    for number, piece in pieces:
        assert piece.to_pydict() == batch.filter(pa.array(array == number)).to_pydict()
        assert piece.schema == batch.schema


def test_hashes_above_the_signed_range_are_ordered():
    numbers = np.array([2**64 - 1, 3, 2**63], np.uint64)
    assert [number for number, _ in partition(_batch([1, 2, 3]), numbers)] == [3, 2**63, 2**64 - 1]


def test_a_pickled_piece_has_neither_rows_nor_texts_of_other_pieces():
    batch = _batch(list(range(20000)))
    sizes = [len(pickle.dumps(piece)) for _, piece in partition(batch, np.arange(20000) % 1000)]
    assert len(sizes) == 1000
    assert max(sizes) < 8000 < len(pickle.dumps(batch.slice(0, 20))) / 100


def _cut(batches: list[tuple[str, pa.RecordBatch]], num_parts) -> tuple[list, list]:
    """Returns the pieces that are yielded for each batch, and those at the end of the bundle."""
    do_fn = PartitionByHash(lambda batch: batch["@hash"].to_numpy())
    do_fn.start_bundle()
    during = [list(do_fn.process(element, num_parts)) for element in batches]
    end = [value.value for value in do_fn.finish_bundle() if isinstance(value, WindowedValue)]
    return during, end


def _rows(pieces) -> list:
    return [(key, piece["x"].to_pylist()) for key, piece in pieces]


def test_rows_are_assigned_by_hash_modulo_the_number_of_parts():
    during, end = _cut([("train", _batch([2**64 - 1, 6, 4, 9])), ("test", _batch([8, 3]))], {"train": 3, "test": 7})
    assert during == [[], []]
    assert _rows(end) == [(("train", 0, 3), [0, 1, 3]), (("train", 1, 3), [2]),
                          (("test", 1, 7), [0]), (("test", 3, 7), [1])]


def test_the_rows_of_a_bundle_are_cut_together():
    during, end = _cut([("a", _batch([1, 2], 0)), ("a", _batch([2, 1], 2)), ("a", _batch([1], 4))], 3)
    assert during == [[], [], []]
    assert _rows(end) == [(("a", 1, 3), [0, 3, 4]), (("a", 2, 3), [1, 2])]
    assert end[0][1]["kind"].to_pylist() == ["0é", "3é", "4é"]


@pytest.mark.parametrize(("limit", "value"), [("ROWS_PER_PIECE", 2), ("MAX_PENDING_BYTES", 300)])
def test_gathered_rows_are_cut_when_they_are_enough(limit, value, monkeypatch):
    monkeypatch.setattr(partitions, limit, value)
    during, end = _cut([("a", _batch([0] * 3)), ("a", _batch([1] * 3, 3)), ("a", _batch([2] * 3, 6))], 3)
    assert [_rows(pieces) for pieces in during] == [
        [], [(("a", 0, 3), [0, 1, 2]), (("a", 1, 3), [3, 4, 5])], []]
    assert _rows(end) == [(("a", 2, 3), [6, 7, 8])]


def test_batches_of_different_types_are_cut_apart():
    plain = pa.RecordBatch.from_pydict({"@hash": np.zeros(2, np.uint64), "x": [5, 6]})
    _, end = _cut([("a", _batch([0])), ("a", plain)], 3)
    assert _rows(end) == [(("a", 0, 3), [0]), (("a", 0, 3), [5, 6])]


def test_dictionaries_that_do_not_fit_together_are_cut_apart():
    def narrow(first: int) -> pa.RecordBatch:
        texts = pa.DictionaryArray.from_arrays(np.arange(100, dtype=np.int8),
                                               [str(value) for value in range(first, first + 100)])
        return pa.RecordBatch.from_pydict({"@hash": np.zeros(100, np.uint64), "x": texts})

    _, end = _cut([("a", narrow(0)), ("a", narrow(100))], 1)
    assert [value for _, values in _rows(end) for value in values] == [str(value) for value in range(200)]


def test_pieces_of_all_names_are_grouped_by_part():
    piece = _batch([0])
    assert without_name(("train", 5, 16), piece) == (5, ("train", piece))
