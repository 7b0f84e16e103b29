"""Known positives as sorted pairs, against sets."""

import numpy as np
import pytest

from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.pretraining import known_positives
from tfrs_pretrain.pretraining.known_positives import interactions_of_keys, load_known_positives


@pytest.mark.parametrize("pairs_per_block", [1, 2, 7, 1000])
def test_repeated_pairs_count_once_across_blocks(pairs_per_block, monkeypatch):
    monkeypatch.setattr(known_positives, "PAIRS_PER_BLOCK", pairs_per_block)
    random = np.random.default_rng(7)
    queries, items = random.integers(0, 9, 60), random.integers(0, 5, 60)
    queries[queries == 4] = 5  # a query without pairs
    found = interactions_of_keys(np.sort(queries << 32 | items), 11)
    for query in range(11):
        expected = sorted({int(item) for other, item in zip(queries, items, strict=True) if other == query})
        assert found.items[found.offsets[query]:found.offsets[query + 1]].tolist() == expected
    assert len(found.offsets) == 12


def test_without_pairs_every_query_has_none():
    assert interactions_of_keys(np.empty(0, np.int64), 3).offsets.tolist() == [0, 0, 0, 0]


def test_the_pairs_of_a_dataset_are_read(tiny_dataset):
    known = load_known_positives(tiny_dataset)
    pairs = {(int(user), int(item)) for block in pair_blocks(tiny_dataset.files("pairs/train")).as_numpy_iterator()
             for user, item in zip(block["query"], block["candidate"], strict=True)}
    offsets, items = known._offsets.numpy(), known._items.numpy()
    assert {(user, int(item)) for user in range(len(offsets) - 1) for item in items[offsets[user]:offsets[user + 1]]
            } == pairs
    assert len(items) == len(pairs)
