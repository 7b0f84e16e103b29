"""Blocked top-k search and retrieval metrics against naive twins and literals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.metrics.retrieval import coverage, recall_by_frequency, retrieval_metrics
from tfrs_pretrain.metrics.top_items import top_items


def naive_top(queries, items, k, seen):
    """Sorts everything, query by query."""
    lists = []
    for query, hidden in zip(queries, seen, strict=True):
        left = [item for item in range(len(items)) if item not in hidden]
        ranked = sorted(left, key=lambda item: (-float(query @ items[item]), item))[:k]
        lists.append(ranked + [-1] * (k - len(ranked)))
    return np.array(lists)


def naive_metrics(top, relevant, k):
    recall, ndcg, mrr = [], [], []
    for listed, wanted in zip(top[:, :k].tolist(), relevant, strict=True):
        if not wanted:
            continue
        hits = [item in wanted for item in listed]
        recall.append(sum(hits) / len(wanted))
        ideal = sum(1 / np.log2(rank + 2) for rank in range(min(k, len(wanted))))
        ndcg.append(sum(1 / np.log2(rank + 2) for rank, hit in enumerate(hits) if hit) / ideal)
        mrr.append(next((1 / (rank + 1) for rank, hit in enumerate(hits) if hit), 0.0))
    return {f"recall@{k}": np.mean(recall), f"ndcg@{k}": np.mean(ndcg), f"mrr@{k}": np.mean(mrr)}


def interactions(sets):
    pairs = [(query, item) for query, items in enumerate(sets) for item in items]
    queries, items = np.array(pairs, np.int64).reshape(-1, 2).T
    return Interactions.from_pairs(queries, items, len(sets))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 40), st.integers(1, 12), st.integers(1, 4),
       st.integers(1, 17))
def test_top_items_match_a_full_sort(seed, count, corpus, k, query_block, item_block):
    generator = np.random.default_rng(seed)
    # Small integers make ties common and products exact.
    queries = generator.integers(-2, 3, (count, 3)).astype(np.float32)
    items = generator.integers(-2, 3, (corpus, 3)).astype(np.float32)
    seen = [set(generator.choice(corpus, generator.integers(0, corpus + 1), replace=False).tolist())
            for _ in range(count)]
    top = top_items(queries, items, k, interactions(seen), query_block=query_block, item_block=item_block)
    np.testing.assert_array_equal(top, naive_top(queries, items, k, seen))


def test_metrics_match_naive_twin():
    generator = np.random.default_rng(2)
    top = np.stack([generator.permutation(30)[:10] for _ in range(50)])
    top[4, 6:] = -1
    relevant = [set(generator.choice(30, generator.integers(0, 6), replace=False).tolist()) for _ in range(50)]
    got = retrieval_metrics(top, interactions(relevant), (1, 3, 10))
    for k in (1, 3, 10):
        for name, value in naive_metrics(top, relevant, k).items():
            assert got[name] == pytest.approx(value, abs=1e-12)


def test_metrics_by_hand():
    # Query 0 has relevant items {2, 5} and lists 5 at rank 2; query 1 has none and is left out.
    got = retrieval_metrics(np.array([[1, 5], [2, 3]]), interactions([{2, 5}, set()]), (2,))
    assert got == {"recall@2": 0.5, "mrr@2": 0.5, "ndcg@2": pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))}


def test_metrics_without_relevant_items_are_nan():
    assert np.isnan(retrieval_metrics(np.array([[1]]), interactions([set()]), (1,))["recall@1"])


def test_from_pairs_sorts_and_drops_repeats():
    got = Interactions.from_pairs(np.array([2, 0, 2, 2]), np.array([5, 1, 3, 5]), 4)
    assert got.offsets.tolist() == [0, 1, 1, 3, 3]
    assert got.items.tolist() == [1, 3, 5]
    assert got.counts.tolist() == [1, 0, 2, 0]


def test_without_removes_pairs_of_the_same_query_only():
    got = interactions([{1, 5}, {2}, set()]).without(interactions([{5, 9}, set(), {2}]))
    assert [got.items[got.offsets[q]:got.offsets[q + 1]].tolist() for q in range(3)] == [[1], [2], []]


def test_coverage_counts_listed_items():
    top = np.array([[4, 1, -1], [4, 2, 1], [4, 0, -1]])
    assert coverage(top, 10, (1, 2, 3)) == {"coverage@1": 0.1, "coverage@2": 0.4, "coverage@3": 0.4}


def test_recall_by_frequency_splits_the_relevant_items():
    frequency = np.array([0, 5, 9, 10, 99, 100])
    top = np.array([[0, 3, 5], [2, 4, 1]])
    # Query 0 has three relevant items and lists 0 (rank 1) and 3; query 1 has 1 and 4 and lists both, 1 at rank 3.
    got = recall_by_frequency(top, interactions([{0, 1, 3}, {1, 4}]), frequency, (10, 100), (2, 3))
    assert got[0] == {"from": 0, "to": 10, "relevant": 3, "recall@2": 0.25, "recall@3": 0.75}
    assert got[1] == {"from": 10, "to": 100, "relevant": 2, "recall@2": 1.0, "recall@3": 1.0}
    assert (got[2]["from"], got[2]["to"], got[2]["relevant"]) == (100, float("inf"), 0)
    assert np.isnan(got[2]["recall@2"])


def test_a_slice_of_queries_is_renumbered_from_zero():
    got = interactions([{4}, {1, 5}, set(), {2}]).slice(1, 4)
    assert got.offsets.tolist() == [0, 2, 2, 3]
    assert got.items.tolist() == [1, 5, 2]
    assert got.queries.tolist() == [0, 0, 2]


def test_no_queries_have_no_lists():
    assert top_items(np.zeros((0, 3)), np.ones((4, 3)), 2, interactions([])).shape == (0, 2)
