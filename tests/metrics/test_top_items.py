"""Blocked top-k search where blocks, ties and seen items interact."""

import os

import numpy as np
import pytest

from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.metrics.top_items import top_items

NOTHING_SEEN = Interactions(np.zeros(3, np.int64), np.zeros(0, np.int64))
QUERIES = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)


def test_ties_across_item_blocks_keep_the_item_order():
    items = np.ones((9, 2), np.float32)
    assert top_items(QUERIES, items, 4, NOTHING_SEEN, item_block=2).tolist() == [[0, 1, 2, 3]] * 2


def test_a_later_item_with_a_larger_score_replaces_the_last_of_a_full_list():
    items = np.array([[3, 0], [2, 0], [1, 0], [2.5, 0], [9, 0]], np.float32)
    assert top_items(QUERIES, items, 2, NOTHING_SEEN, item_block=1)[0].tolist() == [4, 0]


def test_seen_items_are_left_out_in_every_block():
    items = np.array([[5, 1], [4, 2], [3, 3], [2, 4], [1, 5]], np.float32)
    seen = Interactions.from_pairs(np.array([0, 0, 1]), np.array([0, 3, 4]), 2)
    for item_block in (1, 2, 5):
        found = top_items(QUERIES, items, 3, seen, item_block=item_block)
        assert found.tolist() == [[1, 2, 4], [3, 2, 1]]


def test_lists_are_padded_when_too_few_items_remain():
    items = np.array([[1, 1], [2, 2]], np.float32)
    seen = Interactions.from_pairs(np.array([0, 1, 1]), np.array([1, 0, 1]), 2)
    assert top_items(QUERIES, items, 3, seen).tolist() == [[0, -1, -1], [-1, -1, -1]]


@pytest.mark.parametrize("cores", [1, 3, None])
def test_the_number_of_cores_does_not_change_the_lists(cores, monkeypatch):
    random = np.random.default_rng(0)
    queries, items = random.normal(size=(17, 4)), random.normal(size=(60, 4))
    seen = Interactions.from_pairs(np.arange(17), random.integers(0, 60, 17), 17)
    expected = top_items(queries, items, 5, seen)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    np.testing.assert_array_equal(top_items(queries, items, 5, seen, query_block=4), expected)


def test_double_precision_separates_scores_that_are_equal_in_single():
    items = np.array([[1.0, 0], [1.0 + 1e-12, 0]])
    assert top_items(QUERIES.astype(np.float64), items, 1, NOTHING_SEEN)[0].tolist() == [1]
