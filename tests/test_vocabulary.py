"""Rows of ids: order, shared rows, digests, files."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vocabulary_windows import advance, extended

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.lifecycle_rules import LifecycleRules
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_changes import VocabularyChanges
from tfrs_pretrain.vocabulary_lifecycle import begin


def make(ids, counts, **options):
    return Vocabulary.from_counts(pa.array(ids), np.array(counts), **{"oov_rows": 2, **options})


def test_rows_go_by_count_then_id():
    vocabulary = make(["b", "a", "ü", "rare"], [3, 3, 9, 1], min_count=2)
    assert vocabulary.ids.to_pylist() == ["ü", "a", "b"]
    assert vocabulary.lookup(pa.array(["a", "b", "ü"])).tolist() == [3, 4, 2]
    assert vocabulary.row_counts.tolist() == [0, 0, 9, 3, 3]
    assert vocabulary.num_rows == 5


def test_max_size_keeps_the_most_frequent():
    assert make([10, 20, 30], [1, 5, 5], max_size=2).ids.to_pylist() == [20, 30]


def test_much_text_is_large_strings(monkeypatch, tmp_path):
    """One array of strings has at most 2 GiB; here the limit is 4 bytes."""
    ids, counts = pa.chunked_array([["bb", "a"], ["ccc", "dd"]]), np.array([2, 2, 1, 3])
    whole = Vocabulary.from_counts(ids, counts, oov_rows=1)
    monkeypatch.setattr("tfrs_pretrain.id_arrays.MAX_TEXT_BYTES", 4)
    for options, kept, dtype in (({"min_count": 3}, ["dd"], pa.string()), ({"max_size": 2}, ["dd", "a"], pa.string()),
                                 ({}, ["dd", "a", "bb", "ccc"], pa.large_string())):
        vocabulary = Vocabulary.from_counts(ids, counts, oov_rows=1, **options)
        assert (vocabulary.ids.type, vocabulary.ids.to_pylist()) == (dtype, kept)
    assert (vocabulary.digest, vocabulary.dtype) == (whole.digest, "string")
    vocabulary.save(tmp_path / "v.parquet")
    whole.save(tmp_path / "whole.parquet")
    for name in ("v", "whole"):
        loaded = Vocabulary.load(tmp_path / f"{name}.parquet")
        assert (loaded.ids.type, loaded.digest) == (pa.large_string(), whole.digest)
    freed = vocabulary.with_freed(np.array([1, 4]))
    assert freed.lookup(vocabulary.ids).tolist() == whole.with_freed(np.array([1, 4])).lookup(whole.ids).tolist()
    assert VocabularyChanges.between(whole, vocabulary) == VocabularyChanges(4, 0, 0, 0, 0)


@pytest.mark.parametrize("lifetimes", [False, True])
def test_a_later_window_may_have_much_text(lifetimes, monkeypatch):
    first, later = make(["a"], [1]), (pa.chunked_array([["bb", "a"], ["ccc", "dd"]]), np.array([1, 2, 3, 1]))

    def built(**options):
        return (advance(begin(first, 1), *later, 2, LifecycleRules(eviction="least_recent"), **options) if lifetimes
                else extended(first, *later, **options))

    limits = {"max_size": 3} if lifetimes else {}
    expected = built(**limits).ids.to_pylist()
    monkeypatch.setattr("tfrs_pretrain.id_arrays.MAX_TEXT_BYTES", 4)
    assert (built(min_count=3).ids.type, built(min_count=3).ids.to_pylist()) == (pa.string(), ["a", "ccc"])
    assert (built(**limits).ids.type, built(**limits).ids.to_pylist()) == (pa.large_string(), expected)
    again = advance(begin(built(), 2), *later, 3, LifecycleRules()) if lifetimes else extended(built(), *later)
    assert again.ids.to_pylist() == built().ids.to_pylist()


def test_rows_that_records_cannot_contain_are_refused(monkeypatch):
    monkeypatch.setattr("tfrs_pretrain.id_arrays.MAX_ROWS", 4)
    first = make(["a", "b"], [1, 1])
    assert make(["a", "b", "c"], [3, 2, 1], max_size=2).num_rows == 4
    with pytest.raises(UserError, match="its ids need 5 rows, and records contain rows below 4: raise min_count or"):
        make(["a", "b", "c"], [3, 2, 1])
    with pytest.raises(UserError, match="its ids need 5 rows"):
        extended(first, pa.array(["c"]), np.array([1]))


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), unique=True, max_size=8), st.integers(0, 3))
def test_the_digest_of_texts_is_that_of_their_lengths_and_bytes(ids, start):
    part = pa.array([*["x"] * start, *ids, "y"], pa.string()).slice(start, len(ids))
    vocabulary = Vocabulary(part, np.array([0 if value is None else 1 for value in ids], np.int64), 1)
    encoded = [(value or "").encode() for value in ids]
    content = f"string:1:{len(ids)}:".encode() + b"".join(len(value).to_bytes(8, "little") for value in encoded)
    free = b"".join((place + 1).to_bytes(8, "little") for place, value in enumerate(ids) if value is None)
    content += b"".join(encoded) + (b":free:" + free if free else b"")
    assert vocabulary.digest == hashlib.sha256(content).hexdigest()


def test_unknown_and_missing_values_share_rows_by_hash():
    vocabulary = make([7, 8], [1, 1], oov_rows=5)
    unknown = np.array([-3, 0, 12, 2**62])
    assert vocabulary.lookup(pa.array(unknown)).tolist() == [int(value % np.uint64(5)) for value in hash_ids(unknown)]
    assert vocabulary.lookup(pa.array([None], pa.int64())) == vocabulary.lookup(pa.array([-1]))
    strings = make(["", "x"], [4, 1])
    assert strings.lookup(pa.array([None], pa.string())).tolist() == [2]


@given(st.sets(st.text(), min_size=1), st.integers(1, 4))
def test_every_known_id_has_its_own_row(ids, oov_rows):
    ordered = sorted(ids, key=lambda value: value.encode())
    vocabulary = make(ordered, [1] * len(ordered), oov_rows=oov_rows)
    assert sorted(vocabulary.lookup(pa.array(ordered, pa.string()))) == list(range(oov_rows, oov_rows + len(ordered)))


def test_digest_follows_the_meaning_of_rows():
    base = make(["a", "bc"], [2, 1]).digest
    assert make(["a", "bc"], [9, 8]).digest == base  # counts move no row
    others = [make(["ab", "c"], [2, 1]), make(["a", "bc"], [1, 2]), make(["a", "bc"], [2, 1], oov_rows=3),
              make([1], [1])]
    assert len({base, *(other.digest for other in others)}) == 5


def test_saved_vocabulary_loads_equal(tmp_path):
    vocabulary = make(["ü", ""], [2, 1], oov_rows=3)
    vocabulary.save(tmp_path / "v.parquet")
    loaded = Vocabulary.load(tmp_path / "v.parquet")
    assert (loaded.digest, loaded.counts.tolist(), loaded.oov_rows) == (vocabulary.digest, [2, 1], 3)


def test_foreign_file_is_named(tmp_path):
    (tmp_path / "v.parquet").write_text("no parquet")
    with pytest.raises(UserError, match=r"vocabulary '.*v\.parquet' cannot be read"):
        Vocabulary.load(tmp_path / "v.parquet")


def test_values_of_another_type_are_refused():
    with pytest.raises(TypeError, match="string"):
        make([1], [1]).lookup(pa.array(["1"]))
