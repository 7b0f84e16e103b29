"""Free rows of a vocabulary: rows of no id, against a naive twin of dictionaries."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vocabulary_windows import extended

from tfrs_pretrain.features.row_values import values_of_rows
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.vocabulary import Vocabulary

ROWS = st.lists(st.none() | st.integers(-3, 30), max_size=20, unique_by=lambda value: object() if value is None
                else value)


def make(ids, oov_rows=2):
    return Vocabulary(pa.array(ids, pa.int64()), np.array([0 if value is None else 7 for value in ids]), oov_rows)


@given(ROWS, st.integers(1, 4))
def test_lookup_returns_the_rows_of_ids_and_never_a_free_row(ids, oov_rows):
    vocabulary = make(ids, oov_rows)
    rows = {value: oov_rows + position for position, value in enumerate(ids) if value is not None}
    asked = np.arange(-5, 33)
    shared = (hash_ids(asked) % np.uint64(oov_rows)).astype(int).tolist()
    expected = [rows.get(value, row) for value, row in zip(asked.tolist(), shared, strict=True)]
    assert vocabulary.lookup(pa.array(asked)).tolist() == expected
    missing = vocabulary.lookup(pa.array([None], pa.int64())).tolist()
    assert missing == vocabulary.lookup(pa.array([-1])).tolist()
    assert vocabulary.id_rows.tolist() == sorted(rows.values())
    assert vocabulary.free.tolist() == [oov_rows + position for position, value in enumerate(ids) if value is None]
    assert (vocabulary.num_ids, vocabulary.num_rows) == (len(rows), oov_rows + len(ids))
    assert vocabulary.known_ids.to_pylist() == [value for value in ids if value is not None]
    assert np.flatnonzero(vocabulary.occurring).tolist() == sorted(rows.values())


@given(ROWS, st.data())
def test_freed_rows_lose_their_id_and_no_other_row_changes(ids, data):
    vocabulary = make(ids)
    positions = data.draw(st.lists(st.sampled_from(range(len(ids))), max_size=8) if ids else st.just([]))
    freed = vocabulary.with_freed(np.array(positions, np.int64) + 2)
    assert freed.ids.to_pylist() == [None if position in positions else value for position, value in enumerate(ids)]
    assert freed.row_counts.tolist() == [0, 0, *(0 if value is None else 7 for value in freed.ids.to_pylist())]
    assert (freed.digest == vocabulary.digest) == (freed.ids.to_pylist() == ids)


@pytest.mark.parametrize("rows", [[1], [5], [-1, 3]])
def test_only_rows_of_ids_are_freed(rows):
    with pytest.raises(ValueError, match="expected rows from 2 to 4, received"):
        make([5, 6, 7]).with_freed(np.array(rows))


@given(ROWS)
def test_the_digest_distinguishes_a_free_row_from_every_id(ids):
    integers, strings = make(ids), Vocabulary(pa.array([None if value is None else "" for value in ids], pa.string()),
                                              np.zeros(len(ids)), 1)
    free = np.flatnonzero([value is None for value in ids])
    content = f"int64:2:{len(ids)}:".encode() + np.array([value or 0 for value in ids], "<i8").tobytes()
    content += b":free:" + (free + 2).astype("<i8").tobytes() if len(free) else b""
    assert integers.digest == hashlib.sha256(content).hexdigest()
    content = f"string:1:{len(ids)}:".encode() + bytes(8 * len(ids))
    content += b":free:" + (free + 1).astype("<i8").tobytes() if len(free) else b""
    assert strings.digest == hashlib.sha256(content).hexdigest()


def test_a_file_keeps_free_rows(tmp_path):
    vocabulary = make([5, None, 6, None])
    vocabulary.save(tmp_path / "v.parquet")
    assert pq.read_table(tmp_path / "v.parquet").to_pydict() == {"id": [5, None, 6, None], "count": [7, 0, 7, 0]}
    loaded = Vocabulary.load(tmp_path / "v.parquet")
    assert (loaded.digest, loaded.free.tolist()) == (vocabulary.digest, [3, 5])


def test_new_ids_of_a_later_window_get_the_free_rows_first():
    later = extended(make([5, None, 6]), pa.array([6, 8, 7]), np.array([3, 4, 1]))
    assert (later.ids.to_pylist(), later.counts.tolist()) == ([5, 8, 6, 7], [0, 4, 3, 1])
    limited = extended(make([5, None, None]), pa.array([8, 7]), np.array([1, 4]), max_size=2)
    assert limited.ids.to_pylist() == [5, 7, None]


def test_a_free_row_has_the_value_of_a_shared_row():
    vocabulary = Vocabulary(pa.array(["a", None]), np.array([1, 0]), 2)
    values = values_of_rows(vocabulary)
    assert values.null_count == 0
    assert vocabulary.lookup(values).tolist() == [0, 1, 2, 0]
