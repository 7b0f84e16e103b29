"""Which candidates a global batch is judged against."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import gather_from_replicas
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.chunked import Entries


class Columns(NamedTuple):
    """Distinct candidates of a global batch.

    Attributes:
      ids: int32 [columns], the same on every replica; those that serve as negatives come first.
      counts: int32 [negatives], how often each negative appears in the global batch and the uniform draws.
      positive: int32 [batch], this replica's pairs -> column of their candidate.
      most: negatives that there can be in any batch, where that is known.
    """

    ids: tf.Tensor
    counts: tf.Tensor
    positive: tf.Tensor
    most: int | None = None


@dataclasses.dataclass(frozen=True)
class NegativeSampling:
    """Where negatives come from.

    Attributes:
      in_batch: whether the candidates of the global batch serve as each other's negatives.
      uniform: further negatives drawn for each global batch, with replacement, from all rows; pairs share them.
      rows: rows of the candidate table.
      seed: of the draws.
    """

    in_batch: bool = True
    uniform: int = 0
    rows: int = 0
    seed: int = 0

    def columns(self, candidates: tf.Tensor, step: tf.Tensor) -> Columns:
        """Columns of int32 [batch] candidates (of all replicas); the draws depend on the seed and ``step`` only."""
        if not self.uniform:
            return unique_columns(candidates)
        everyone = gather_from_replicas(candidates)
        draws = tf.random.stateless_uniform([self.uniform], tf.stack([tf.constant(self.seed, tf.int64), step]),
                                            maxval=self.rows, dtype=tf.int32)
        if self.in_batch:
            ids, position, counts = tf.unique_with_counts(tf.concat([everyone, draws], axis=0))
            return Columns(ids, counts, _own_part(position, candidates), position.shape[0])
        ids, position = tf.unique(tf.concat([draws, everyone], axis=0))
        drawn = position[:self.uniform]
        counts = tf.math.bincount(drawn, minlength=tf.reduce_max(drawn) + 1)
        return Columns(ids, counts, _own_part(position[self.uniform:], candidates), self.uniform)

    def probability(self, candidates: np.ndarray, batch: int) -> np.ndarray:
        """float64 [rows]: probability that one negative of a global batch is this row.

        With both sources it is the mixture in which each has its share of the draws (Yang et al., "Mixed Negative
        Sampling for Learning Two-tower Neural Networks in Recommendations", WWW 2020, section 4.2).

        Args:
          candidates: float64 [rows], probability that a pair's candidate is this row.
          batch: pairs in a global batch.
        """
        if not self.uniform:
            return candidates
        share = batch / (batch + self.uniform) if self.in_batch else 0.0
        return share * candidates + (1.0 - share) / self.rows


def unique_columns(candidates: tf.Tensor) -> Columns:
    """In-batch columns of int32 [batch] candidates; with several replicas, of the candidates of all of them."""
    ids, position, counts = tf.unique_with_counts(gather_from_replicas(candidates))
    return Columns(ids, counts, _own_part(position, candidates), position.shape[0])


def _own_part(position: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    start = tf.distribute.get_replica_context().replica_id_in_sync_group * tf.size(candidates)
    return position[start:start + tf.size(candidates)]


class KnownPositives:
    """What each query is known to engage with, to keep it out of the query's negatives.

    Looking up a batch costs O(known positives of its queries · log columns), whatever the tables' size.

    Args:
      known: candidates of every query row.
    """

    def __init__(self, known: Interactions):
        self._offsets = tf.constant(known.offsets, tf.int64)
        self._items = tf.constant(known.items, tf.int32)

    def entries(self, queries: tf.Tensor, columns: Columns) -> Entries:
        """The known positives of int32 [batch] queries among the negatives, other than the pair's own candidate."""
        start = tf.gather(self._offsets, queries)
        lengths = tf.gather(self._offsets, queries + 1) - start
        rows = tf.repeat(tf.range(tf.size(queries)), lengths)
        before = tf.cumsum(lengths, exclusive=True)
        items = tf.gather(self._items, tf.range(tf.reduce_sum(lengths)) + tf.repeat(start - before, lengths))
        order = tf.argsort(columns.ids[:tf.size(columns.counts)])
        sorted_ids = tf.gather(columns.ids, order)
        place = tf.minimum(tf.searchsorted(sorted_ids, items), tf.size(order) - 1)
        column = tf.gather(order, place)
        kept = (tf.gather(sorted_ids, place) == items) & (column != tf.gather(columns.positive, rows))
        return Entries(tf.boolean_mask(rows, kept), tf.boolean_mask(column, kept))


def own_hits(columns: Columns) -> Entries:
    """Pairs whose own candidate is among the negatives."""
    rows = tf.cast(tf.where(columns.positive < tf.size(columns.counts))[:, 0], tf.int32)
    return Entries(rows, tf.gather(columns.positive, rows))


def merge_entries(one: Entries, other: Entries) -> Entries:
    """Places of both, in order of their rows."""
    rows, columns = tf.concat([one.rows, other.rows], 0), tf.concat([one.columns, other.columns], 0)
    order = tf.argsort(rows, stable=True)
    return Entries(tf.gather(rows, order), tf.gather(columns, order))
