"""Interactions in compressed rows against Python sets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.metrics.interactions import Interactions

sets_of_items = st.lists(st.sets(st.integers(0, 8), max_size=5), min_size=1, max_size=6)


def from_sets(sets):
    pairs = [(query, item) for query, items in enumerate(sets) for item in items]
    queries, items = np.array(pairs, np.int64).reshape(-1, 2).T
    return Interactions.from_pairs(queries, items, len(sets))


def to_sets(interactions):
    return [set(interactions.items[start:end].tolist())
            for start, end in zip(interactions.offsets[:-1], interactions.offsets[1:], strict=True)]


@settings(max_examples=100, deadline=None)
@given(sets_of_items)
def test_sets_are_stored_sorted_and_read_back(sets):
    found = from_sets(sets)
    assert to_sets(found) == sets
    assert found.counts.tolist() == [len(items) for items in sets]
    assert found.queries.tolist() == [query for query, items in enumerate(sets) for _ in items]
    assert all((np.diff(found.items[start:end]) > 0).all()
               for start, end in zip(found.offsets[:-1], found.offsets[1:], strict=True))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 8)), st.sets(st.integers(0, 20))), min_size=1, max_size=6))
def test_without_is_the_set_difference_of_each_query(pairs):
    ones, others = zip(*pairs, strict=True)
    assert to_sets(from_sets(ones).without(from_sets(others))) == [one - other for one, other in pairs]


@settings(max_examples=100, deadline=None)
@given(sets_of_items, st.data())
def test_a_slice_has_the_sets_of_its_queries(sets, data):
    start = data.draw(st.integers(0, len(sets)))
    end = data.draw(st.integers(start, len(sets)))
    found = from_sets(sets).slice(start, end)
    assert to_sets(found) == sets[start:end]
    assert found.offsets[0] == 0
