"""Counts of joins, from literal batches."""

import numpy as np
import pyarrow as pa
from planted import planted_config

from beam_pipelines.transforms.join_counts import JoinCounts, count_joins
from tfrs_pretrain.config import Config

BATCH = pa.RecordBatch.from_pydict({
    "user_id": [7, 8, 9, 7, 5], "item_id": ["a", "b", "c", "d", "e"], "@items": [True, None, True, None, None],
    "topic": pa.array([1, None, -1, 1, None], pa.int64()).dictionary_encode(),
    "quality": pa.array([0.5, None, 1.0, 2.0, None], pa.float32())})
PRETRAINED = {"user": np.array([True, False, True, True, True]), "item": np.array([True, True, False, False, False])}


def _features(*names: str):
    return [feature for feature in Config.model_validate(planted_config()).schema_.features if feature.name in names]


def test_matches_missing_values_and_examples_are_counted():
    counts = count_joins(BATCH, PRETRAINED, _features("topic", "quality"))
    assert counts.impressions == 5
    assert counts.found == {"pretrained_users": 4, "pretrained_items": 2, "pretrained_both": 1, "items_table": 2}
    assert counts.missing == {"topic": 3, "quality": 2}
    assert counts.unmatched == {"pretrained_users": [8], "pretrained_items": ["c", "d", "e"],
                                "items_table": ["b", "d", "e"]}


def test_examples_are_taken_from_the_whole_batch_and_not_repeated():
    """Neighbours share a user."""
    users = np.repeat([4, 5, 6], [10, 10, 10])
    batch = pa.RecordBatch.from_pydict({"user_id": users, "item_id": ["a"] * 30})
    pretrained = {"user": np.zeros(30, bool), "item": np.ones(30, bool)}
    counts = count_joins(batch, pretrained, [])
    assert counts.unmatched == {"pretrained_users": [4, 5, 6], "pretrained_items": []}
    same = count_joins(batch.slice(0, 2), {name: mask[:2] for name, mask in pretrained.items()}, [])
    assert (JoinCounts() + same).unmatched["pretrained_users"] == [4]


def test_counts_add_up_in_any_order():
    features = _features("topic", "quality")
    parts = [count_joins(BATCH.slice(start, size), {name: mask[start:start + size] for name, mask in
                                                    PRETRAINED.items()}, features)
             for start, size in ((0, 2), (2, 1), (3, 2))]
    whole = count_joins(BATCH, PRETRAINED, features).to_json()
    for order in (parts, parts[::-1]):
        assert sum(order, JoinCounts()).to_json() == whole
