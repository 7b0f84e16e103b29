"""Blocks of equal score against grouping with Python dictionaries."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.metrics.recall_ndcg import recall_and_ndcg
from tfrs_pretrain.metrics.score_blocks import ScoreBlocks

impressions = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.3]), st.integers(0, 3)), min_size=1,
                       max_size=30)


def columns(drawn):
    return (np.array([row[i] for row in drawn], dtype) for i, dtype in enumerate((np.float32, np.float32, np.int64)))


def naive_blocks(drawn):
    """(group, score) -> [size, positives], in ascending order."""
    ordered = sorted((group, float(np.float32(score)), label) for label, score, group in drawn)
    return {key: [len(rows := list(part)), sum(row[2] for row in rows)]
            for key, part in itertools.groupby(ordered, key=lambda row: row[:2])}


@settings(max_examples=150, deadline=None)
@given(impressions)
def test_blocks_equal_the_naive_twin(drawn):
    labels, scores, groups = columns(drawn)
    blocks, twin = ScoreBlocks.from_rows(labels, scores, groups), naive_blocks(drawn)
    assert blocks.sizes.tolist() == [size for size, _ in twin.values()]
    assert blocks.positives.tolist() == [positives for _, positives in twin.values()]
    names = sorted({group for group, _ in twin})
    assert groups[blocks.representative].tolist() == names
    for index, name in enumerate(names):
        inside = groups == name
        assert blocks.group_sizes[index] == inside.sum()
        assert blocks.group_positives[index] == labels[inside].sum()
        assert blocks.has_both_labels[index] == (0 < labels[inside].sum() < inside.sum())


@settings(max_examples=100, deadline=None)
@given(impressions, st.randoms(use_true_random=False))
def test_integer_and_float_sums_over_blocks_agree(drawn, random):
    blocks = ScoreBlocks.from_rows(*columns(drawn))
    values = np.array([random.randrange(-5, 6) for _ in blocks.sizes], np.int64)
    np.testing.assert_array_equal(blocks.sums(values), blocks.sums(values.astype(np.float64)))


def test_a_given_order_replaces_the_sort():
    labels, scores, groups = np.array([1, 0, 0]), np.array([0.3, 0.1, 0.2]), np.array([4, 4, 4])
    order = np.array([1, 2, 0])
    given_order, sorted_here = (ScoreBlocks.from_rows(labels, scores, groups, order=each) for each in (order, None))
    assert given_order.positives.tolist() == sorted_here.positives.tolist() == [0, 0, 1]


def test_no_impressions_have_no_blocks():
    blocks = ScoreBlocks.from_rows(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    assert (blocks.sizes.tolist(), blocks.first_block.tolist(), blocks.auc().tolist()) == ([], [], [])


def test_recall_and_ndcg_of_a_request_shorter_than_k():
    blocks = ScoreBlocks.from_rows(np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7]), np.array([0, 0, 0]))
    recall, ndcg = recall_and_ndcg(blocks, 10)
    assert recall == pytest.approx([1.0])
    assert ndcg == pytest.approx([(1 + 0.5) / (1 + 1 / np.log2(3))])
    recall, ndcg = recall_and_ndcg(blocks, 1)
    assert (recall.tolist(), ndcg.tolist()) == ([0.5], [1.0])


def test_recall_and_ndcg_are_undefined_where_all_labels_are_equal():
    blocks = ScoreBlocks.from_rows(np.array([1, 1, 0, 1]), np.array([0.1, 0.2, 0.1, 0.3]), np.array([0, 0, 1, 1]))
    recall, ndcg = recall_and_ndcg(blocks, 5)
    assert np.isnan([recall[0], ndcg[0]]).all()
    assert (recall[1], ndcg[1]) == (1.0, 1.0)
