"""The items that each user engaged with in training, to remove them from the user's negatives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import pair_blocks, report_corrupt_files
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
from tfrs_pretrain.pretraining.logit_positions import LogitPositions

PAIRS_PER_BLOCK = 1 << 22


class KnownPositives:
    """The known positive candidates of every query row.

    A lookup costs O(known positives of the batch's queries * log negatives), at any table size.

    Args:
      known: candidates of every query row.
    """

    def __init__(self, known: Interactions):
        self._offsets = tf.constant(known.offsets, tf.int64)
        self._items = tf.constant(known.items, tf.int64)  # int32 would be copied from the host in each step

    def positions(self, queries: tf.Tensor, candidates: BatchCandidates) -> LogitPositions:
        """The known positives of integer [batch] queries among the negatives, without the pairs' own positives."""
        dtype, num_negatives = candidates.ids.dtype, tf.cast(candidates.num_negatives, tf.int64)
        start = tf.gather(self._offsets, queries)
        lengths = tf.gather(self._offsets, queries + 1) - start
        # tf.repeat would make a block of [batch, most positives of a query].
        ends = tf.cumsum(lengths)
        entries = tf.range(tf.reduce_sum(lengths))
        query = tf.searchsorted(ends, entries, side="right", out_type=tf.int64)
        items = tf.gather(self._items, entries + tf.gather(start - ends + lengths, query))
        ids = tf.cast(candidates.ids[:num_negatives], tf.int64)
        order = tf.argsort(ids)
        sorted_ids = tf.gather(ids, order)
        place = tf.searchsorted(sorted_ids, items, out_type=tf.int64)
        place = tf.minimum(place, num_negatives - 1)
        query, negative = tf.cast(query, dtype), tf.cast(tf.gather(order, place), dtype)
        is_other_positive = ((tf.gather(sorted_ids, place) == items)
                             & (negative != tf.gather(candidates.positive, query)))
        return LogitPositions(tf.boolean_mask(query, is_other_positive), tf.boolean_mask(negative, is_other_positive))


def load_known_positives(dataset: Dataset) -> KnownPositives:
    """Read the training pairs: 8 bytes per distinct pair and 8 per user, and 8 per pair of a mapped temporary file.
    """
    files = dataset.files("pairs/train")
    with tempfile.TemporaryFile(prefix="tfrs-pretrain-") as file:
        with report_corrupt_files(files):
            for block in pair_blocks(files).as_numpy_iterator():
                file.write((block["query"].astype(np.int64) << 32 | block["candidate"]).tobytes())
        keys: np.ndarray = np.memmap(file, np.int64, "r+") if file.tell() else np.empty(0, np.int64)
    keys.sort()
    return KnownPositives(interactions_of_keys(keys, dataset.num_rows("user")))


def interactions_of_keys(keys: np.ndarray, n_queries: int) -> Interactions:
    """Convert int64 [n] ascending ``query << 32 | item`` to the distinct items of each query, with int32 items."""
    counts, items = np.zeros(n_queries + 1, np.int64), [np.empty(0, np.int32)]
    for distinct in _distinct(keys):
        items.append((distinct & 0xFFFFFFFF).astype(np.int32))
        np.add.at(counts, (distinct >> 32) + 1, 1)
    return Interactions(np.cumsum(counts), np.concatenate(items))


def _distinct(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the distinct ones of ascending keys [n] in blocks; none is negative."""
    previous = -1
    for start in range(0, len(keys), PAIRS_PER_BLOCK):
        block = keys[start:start + PAIRS_PER_BLOCK]
        yield block[np.diff(block, prepend=previous) != 0]
        previous = block[-1]
