"""The items that each user engaged with in training, to remove them from the user's negatives."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import pair_blocks, report_corrupt_files
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
from tfrs_pretrain.pretraining.logit_positions import LogitPositions


class KnownPositives:
    """The known positive candidates of every query row.

    A lookup costs O(known positives of the batch's queries * log negatives), at any table size.

    Args:
      known: candidates of every query row.
    """

    def __init__(self, known: Interactions):
        self._offsets = tf.constant(known.offsets, tf.int64)
        self._items = tf.constant(known.items, tf.int64)

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
    """Read the training pairs into memory: 8 bytes per distinct pair and 8 per user."""
    files = dataset.files("pairs/train")
    with report_corrupt_files(files):
        blocks = list(pair_blocks(files).as_numpy_iterator())
    users, items = (np.concatenate([block[name] for block in blocks]) for name in ("query", "candidate"))
    return KnownPositives(Interactions.from_pairs(users, items, dataset.num_rows("user")))
