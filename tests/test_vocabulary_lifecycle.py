"""The life cycle of a vocabulary against a naive twin of dictionaries, over random windows and over a year."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocabulary_twin import Rules, Twin
from vocabulary_windows import advance

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.lifecycle_rules import LifecycleRules
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_changes import VocabularyChanges
from tfrs_pretrain.vocabulary_lifecycle import begin

OOV = 2
WINDOW = st.dictionaries(st.integers(-4, 25), st.integers(1, 6), max_size=14)
RULES = st.builds(Rules, decay=st.sampled_from([0.0, 0.5, 0.9, 1.0]), ttl_windows=st.none() | st.integers(1, 4),
                  ttl_time=st.none() | st.integers(1, 40),
                  eviction=st.sampled_from([None, "least_recent", "least_frequent"]), min_count=st.integers(1, 3),
                  max_size=st.none() | st.integers(1, 12))


def table(counts):
    return pa.array(list(counts), pa.int64()), np.array(list(counts.values()), np.int64)


def first(counts, rules, end=10):
    return begin(Vocabulary.from_counts(*table(counts), oov_rows=OOV, min_count=rules.min_count,
                                        max_size=rules.max_size), end)


def lifecycle(rules):
    return LifecycleRules(rules.decay, rules.ttl_windows, rules.ttl_time, rules.eviction)


def advanced(vocabulary, counts, end, rules):
    return advance(vocabulary, *table(counts), end, lifecycle(rules), min_count=rules.min_count,
                   max_size=rules.max_size)


def assert_equal(vocabulary, twin):
    assert vocabulary.ids.to_pylist() == twin.rows
    lives = {value: (life.row, life.decayed, life.first, life.last) for value, life in twin.lives.items()}
    life = vocabulary.lifetimes
    found = zip(life.decayed.tolist(), life.first.tolist(), life.last.tolist(), strict=True)
    assert {value: (row, *values) for row, (value, values) in enumerate(zip(twin.rows, found, strict=True))
            if value is not None} == lives
    assert vocabulary.counts.tolist() == [0 if value is None else round(twin.lives[value].decayed)
                                          for value in twin.rows]
    newest = len(twin.ends) - 1
    assert vocabulary.occurring.tolist() == [False] * OOV + [
        value is not None and twin.lives[value].last == newest for value in twin.rows]
    assert life.window_ends == tuple(twin.ends)


@settings(deadline=None)
@given(WINDOW, st.lists(st.tuples(WINDOW, st.integers(0, 20), st.sets(st.integers(-4, 25), max_size=3)), max_size=6),
       RULES)
def test_windows_and_forgotten_ids_leave_what_the_twin_has(initial, windows, rules):
    vocabulary, twin, end = first(initial, rules), Twin(initial, 10, rules), 10
    assert_equal(vocabulary, twin)
    for counts, step, forgotten in windows:
        end += step
        earlier, later = vocabulary, advanced(vocabulary, counts, end, rules)
        rows_before = list(twin.rows)
        before = twin.advance(counts, end, rules)
        assert_equal(later, twin)
        after = set(twin.lives)
        assert VocabularyChanges.between(earlier, later) == VocabularyChanges(
            len(before & after), len(after - before), len(before - after),
            sum(value is not None and value != old for value, old in zip(twin.rows, rows_before, strict=False)),
            earlier.forgotten)
        if rules.max_size is not None:
            assert later.num_ids <= rules.max_size
            assert rules.eviction is None or later.num_rows - OOV <= rules.max_size
        forgotten &= set(twin.lives)
        vocabulary = later.with_freed(later.lookup(pa.array(sorted(forgotten), pa.int64())))
        for value in forgotten:
            twin.free(value)
        assert vocabulary.forgotten == len(forgotten)
        assert_equal(vocabulary, twin)


@settings(deadline=None)
@given(WINDOW, WINDOW, RULES, st.randoms())
def test_the_order_of_the_input_has_no_influence(initial, counts, rules, random):
    shuffled = list(counts.items())
    random.shuffle(shuffled)
    start = first(initial, rules)
    one, other = (advanced(start, dict(entries), 17, rules) for entries in (counts.items(), shuffled))
    assert one.ids.equals(other.ids)
    assert one.counts.tolist() == other.counts.tolist()


@pytest.mark.parametrize(("eviction", "expected"), [
    ("least_recent", ["b", "n", "m"]), ("least_frequent", ["b", "a", "n"])])
def test_newcomers_replace_the_worst_ids(eviction, expected):
    """Ids a, b and c have counts 9, 2 and 1; b is seen again. Free rows are filled in order of the new counts."""
    earlier = begin(Vocabulary(pa.array(["a", "b", "c"]), np.array([9, 2, 1]), 1), 1)
    later = advance(earlier, pa.array(["b", "m", "n"]), np.array([1, 3, 4]), 2, LifecycleRules(1.0, eviction=eviction),
                    max_size=3)
    assert sorted(later.ids.to_pylist()) == sorted(expected)
    assert later.ids.to_pylist()[1] == "b"
    assert later.ids.to_pylist() == (["n", "b", "m"] if eviction == "least_recent" else ["a", "b", "n"])


@pytest.mark.parametrize("eviction", ["least_recent", "least_frequent"])
def test_an_id_that_is_equal_to_a_newcomer_stays(eviction):
    earlier = begin(Vocabulary(pa.array([50]), np.array([3]), 1), 1)
    later = advance(earlier, pa.array([1, 50]), np.array([3, 3]), 2, LifecycleRules(eviction=eviction), max_size=1)
    assert later.ids.to_pylist() == [50]


def test_a_year_of_new_ids_stays_within_the_cap():
    """52 weeks with 20 % new ids each; the year's ids are 10 times the cap."""
    random, cap = np.random.default_rng(0), 500
    rules = Rules(decay=0.8, ttl_windows=8, eviction="least_recent", max_size=cap)
    alive, next_id = list(range(400)), 400
    counts = {value: 1 + value % 7 for value in alive}
    vocabulary, twin = first(counts, rules, 0), Twin(counts, 0, rules)
    seen, appended = set(counts), vocabulary.num_rows
    for week in range(1, 53):
        alive = [*random.permutation(alive)[:320].tolist(), *range(next_id, next_id + 80)]
        next_id += 80
        counts = {value: int(count) for value, count in zip(alive, random.integers(1, 9, 400), strict=True)}
        earlier, vocabulary = vocabulary, advanced(vocabulary, counts, week, rules)
        twin.advance(counts, week, rules)
        changes = VocabularyChanges.between(earlier, vocabulary)
        appended += changes.admitted - changes.reused
        seen |= set(counts)
        assert vocabulary.num_rows <= OOV + 1.05 * cap
    assert_equal(vocabulary, twin)
    assert vocabulary.num_rows == appended
    assert len(seen) > 9 * cap


def test_a_file_keeps_lifetimes_and_the_number_of_forgotten_ids(tmp_path):
    vocabulary = advanced(first({5: 3, 6: 1}, Rules()), {6: 2, 7: 1}, 24, Rules(decay=0.5))
    vocabulary = vocabulary.with_freed(np.array([4]))
    vocabulary.save(tmp_path / "v.parquet")
    assert pq.read_table(tmp_path / "v.parquet").to_pydict() == {
        "id": [5, 6, None], "count": [2, 2, 0], "decayed_count": [1.5, 2.5, 0.0], "first_window": [0, 0, -1],
        "last_window": [0, 1, -1]}
    loaded = Vocabulary.load(tmp_path / "v.parquet")
    assert (loaded.lifetimes.window_ends, loaded.forgotten, loaded.digest) == ((10, 24), 1, vocabulary.digest)
    for field in dataclasses.fields(loaded.lifetimes):
        np.testing.assert_array_equal(getattr(loaded.lifetimes, field.name),
                                      getattr(vocabulary.lifetimes, field.name))
    later = advanced(loaded, {9: 1}, 30, Rules(decay=0.5))
    assert (later.ids.to_pylist(), later.forgotten) == ([5, 6, 9], 0)


@pytest.mark.parametrize("damage", [
    lambda file: file.drop_columns(["last_window"]),
    lambda file: file.replace_schema_metadata({b"oov_rows": b"2", b"window_ends": b"[1,"})])
def test_a_file_with_damaged_lifetimes_is_named(damage, tmp_path):
    path = tmp_path / "v.parquet"
    first({5: 3}, Rules()).save(path)
    pq.write_table(damage(pq.read_table(path)), path)
    with pytest.raises(UserError, match=r"vocabulary '.*v\.parquet' cannot be read"):
        Vocabulary.load(path)


def test_changes_that_do_not_add_up_are_refused():
    earlier = Vocabulary(pa.array([1, 2, 3]), np.array([1, 1, 1]), 1)
    for ids in ([2, 1, 3], [1, 2], [1, 2, 3, None]):
        later = Vocabulary(pa.array(ids), np.zeros(len(ids), np.int64), 1)
        with pytest.raises(RuntimeError, match="do not add up"):
            VocabularyChanges.between(earlier, later)


def test_more_ids_than_the_limit_need_an_eviction_order():
    vocabulary = first({1: 1, 2: 1}, Rules())
    with pytest.raises(UserError, match=r"has 2 ids, more than max_size 1, .* set eviction"):
        advanced(vocabulary, {3: 1}, 20, Rules(max_size=1))
    assert advanced(vocabulary, {1: 1}, 20, Rules(max_size=1, ttl_windows=1)).ids.to_pylist() == [1, None]
