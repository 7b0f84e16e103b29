"""Vocabularies against a naive twin of dictionaries, and over windows that follow each other."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocabulary_windows import extended

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.vocabulary import Vocabulary

INTEGERS = st.dictionaries(st.integers(-50, 50), st.integers(1, 9), max_size=30)


def make(counts, **options):
    ids, numbers = pa.array(list(counts), pa.int64()), np.array(list(counts.values()), np.int64)
    return Vocabulary.from_counts(ids, numbers, **{"oov_rows": 2, **options})


def naive_order(counts, min_count, max_size):
    admitted = sorted((-count, value) for value, count in counts.items() if count >= min_count)
    return [value for _, value in admitted][:max_size]


@given(INTEGERS, st.integers(1, 5), st.none() | st.integers(0, 12), st.integers(1, 4))
def test_rows_are_those_of_the_naive_twin(counts, min_count, max_size, oov_rows):
    vocabulary = make(counts, min_count=min_count, max_size=max_size, oov_rows=oov_rows)
    order = naive_order(counts, min_count, max_size)
    assert vocabulary.ids.to_pylist() == order
    assert vocabulary.counts.tolist() == [counts[value] for value in order]
    assert vocabulary.num_rows == oov_rows + len(order)
    asked = np.arange(-55, 56)
    shared = (hash_ids(asked) % np.uint64(oov_rows)).astype(int)
    expected = [oov_rows + order.index(value) if value in order else int(row)
                for value, row in zip(asked.tolist(), shared, strict=True)]
    assert vocabulary.lookup(pa.array(asked)).tolist() == expected


@settings(deadline=None)
@given(INTEGERS, INTEGERS, st.integers(1, 5), st.none() | st.integers(0, 40))
def test_a_later_window_moves_no_row(before, after, min_count, max_size):
    first = make(before)
    ids = pa.array(list(after), pa.int64())
    later = extended(first, ids, np.array(list(after.values()), np.int64), min_count=min_count, max_size=max_size)
    known = first.ids.to_pylist()
    new = {value: count for value, count in after.items() if value not in known}
    room = None if max_size is None else max(max_size - len(known), 0)
    assert later.ids.to_pylist() == known + naive_order(new, min_count, room)
    assert later.counts.tolist() == [after.get(value, 0) for value in later.ids.to_pylist()]
    assert later.oov_rows == first.oov_rows
    np.testing.assert_array_equal(later.lookup(first.ids), first.lookup(first.ids))


def test_strings_are_extended_too():
    first = Vocabulary(pa.array(["b", "a"]), np.array([5, 5]), 1)
    later = extended(first, pa.array(["c", "a", "ä"]), np.array([2, 9, 7]), min_count=2)
    assert (later.ids.to_pylist(), later.counts.tolist()) == (["b", "a", "ä", "c"], [0, 9, 7, 2])
    assert later.lookup(pa.array(["c", "b"])).tolist() == [4, 1]


def test_the_digest_is_that_of_the_documented_bytes():
    integers = Vocabulary(pa.array([258, -1]), np.array([1, 1]), 3)
    content = b"int64:3:2:" + (258).to_bytes(8, "little") + b"\xff" * 8
    assert integers.digest == hashlib.sha256(content).hexdigest()
    strings = Vocabulary(pa.array(["é", ""]), np.array([1, 1]), 1)
    content = b"string:1:2:" + (2).to_bytes(8, "little") + (0).to_bytes(8, "little") + "é".encode()
    assert strings.digest == hashlib.sha256(content).hexdigest()


def test_chunked_and_sliced_values_have_the_same_rows():
    vocabulary = make({7: 3, 8: 2, 9: 1})
    values = pa.array([9, None, 7, 8, 1000])
    expected = vocabulary.lookup(values).tolist()
    chunked = pa.chunked_array([values[:2], values[2:]])
    assert vocabulary.lookup(chunked).tolist() == expected
    assert vocabulary.lookup(values.slice(2)).tolist() == expected[2:]
    assert vocabulary.lookup(pa.array([], pa.int64())).tolist() == []
    assert vocabulary.lookup(values).dtype == np.int64


def test_an_empty_vocabulary_shares_every_row():
    empty = make({}, oov_rows=4)
    assert (empty.num_rows, empty.row_counts.tolist(), empty.dtype) == (4, [0] * 4, "int64")
    values = pa.array([1, 2, 3])
    assert empty.lookup(values).tolist() == [int(value % np.uint64(4)) for value in hash_ids(values)]


def test_the_missing_value_can_have_a_row():
    integers = make({-1: 5, 3: 4})
    assert integers.lookup(pa.array([None, -1, 3])).tolist() == [2, 2, 3]
    strings = Vocabulary(pa.array(["x", ""]), np.array([2, 1]), 1)
    assert strings.lookup(pa.array([None, "", "x"])).tolist() == [2, 2, 1]
    assert Vocabulary(pa.array(["x"]), np.array([1]), 1).lookup(pa.array([None], pa.string())).tolist() == [0]


@pytest.mark.parametrize(("ids", "counts", "oov_rows", "words"), [
    ([1, 2], [1], 1, r"a count for each id \(1 for 2\)"), ([1], [1], 0, r"at least one shared row \(0\)"),
    ([1, None], [1, 2], 3, r"free rows have no count, but 1 have one, the first is row 4")])
def test_what_is_no_vocabulary_is_refused(ids, counts, oov_rows, words):
    with pytest.raises(ValueError, match=words):
        Vocabulary(pa.array(ids, pa.int64()), np.array(counts), oov_rows)


@given(st.lists(st.text(max_size=5), unique=True), st.integers(1, 5))
def test_hashed_rows_lie_among_the_shared_ones(values, oov_rows):
    rows = Vocabulary(pa.array([], pa.string()), np.array([]), oov_rows).lookup(pa.array(values, pa.string()))
    assert rows.dtype == np.int64
    assert ((rows >= 0) & (rows < oov_rows)).all()


def test_the_file_has_ids_and_counts_in_row_order(tmp_path):
    make({5: 1, 6: 9}, oov_rows=7).save(tmp_path / "v.parquet")
    table = pq.read_table(tmp_path / "v.parquet")
    assert table.to_pydict() == {"id": [6, 5], "count": [9, 1]}
    assert table.schema.metadata == {b"oov_rows": b"7"}


@pytest.mark.parametrize("change", [
    lambda table: table.replace_schema_metadata(None), lambda table: table.replace_schema_metadata({"oov_rows": "x"}),
    lambda table: table.replace_schema_metadata({"oov_rows": "0"}),
    lambda table: table.rename_columns(["name", "count"]).replace_schema_metadata({"oov_rows": "1"})])
def test_files_that_are_no_vocabulary_are_named(tmp_path, change):
    path = tmp_path / "v.parquet"
    pq.write_table(change(pa.table({"id": [1], "count": [1]})), path)
    with pytest.raises(UserError) as caught:
        Vocabulary.load(path)
    assert f"vocabulary {str(path)!r} cannot be read (" in str(caught.value)
    assert str(caught.value).endswith("): build the dataset again")
