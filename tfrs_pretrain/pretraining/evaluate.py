"""Evaluation of Stage I on held-out pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import PretrainingConfig
from tfrs_pretrain.data.dataset import Dataset, pair_columns
from tfrs_pretrain.data.pairs import shuffled_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.student_t import intervals_json
from tfrs_pretrain.metrics.retrieval import coverage, query_metrics, recall_by_frequency, retrieval_metrics
from tfrs_pretrain.metrics.top_items import top_items
from tfrs_pretrain.pretraining.heldout_queries import select_queries
from tfrs_pretrain.pretraining.two_tower import TwoTower

FREQUENCY_BOUNDS = (5, 20, 100)  # training pairs of an item: borders between the slices of recall by frequency
CONFIDENCE = 0.95  # of the intervals
_ORDER_SEED = 0  # not the run's seed: runs with different seeds are evaluated on the same batches


class Evaluator:
    """Evaluates a model after each epoch on the same held-out pairs.

    ``heldout_loss`` is the training loss over pairs/heldout in fixed batches, so the negatives are the same in every
    epoch. It depends on the batch size and on the correction: compare it between epochs, and between configurations
    only if these are equal.

    ``recall@k``, ``ndcg@k`` and ``mrr@k`` rank *all* known items for at most ``max_queries`` held-out users (those with
    the smallest hash), without the items that the user has in pairs/train: they measure what is new to the user, even
    if users often repeat themselves. Users and items outside the vocabulary are left out. ``coverage@k`` is the share
    of known items in those lists. The users are a sample: ``intervals`` has the 95 % interval of each of these means
    over users (Student's t), ``queries`` the number of users with a relevant item, and ``eligible_users`` the
    number from which ``max_queries`` were chosen. ``frequency_<from>_to_<to>/recall@k`` is the recall of items with
    that many training pairs (``to`` exclusive), for the largest k and if the slice has a relevant item.

    For pairs with relations, ``heldout_loss`` weighs them as training does. ``relation_<name>/heldout_loss`` is the
    mean over this relation's pairs, against the same negatives; ``relation_<name>/recall@k`` counts the items of this
    relation, for the largest k.

    Args:
      dataset: gives the pairs.
      config: batch size, cut-offs and number of queries.

    Raises:
      UserError: there are fewer than two held-out pairs.
    """

    def __init__(self, dataset: Dataset, config: PretrainingConfig):
        num_heldout = dataset.num_examples("pairs/heldout")
        if num_heldout < 2:
            raise UserError(f"dataset {str(dataset.folder)!r} has {num_heldout} held-out pairs, at least 2 are needed: "
                            "raise dataset.heldout_fraction")
        self._cutoffs = config.recall_at
        self._batches = shuffled_batches(dataset.files("pairs/heldout"), min(config.batch_size, num_heldout),
                                         seed=_ORDER_SEED, epoch=0, columns=pair_columns(dataset.schema))
        self._relations = dataset.relations
        self._items = dataset.vocabulary("item").id_rows
        self._queries = select_queries(dataset, config.max_queries)
        num_pairs = np.rint(dataset.candidate_probability * dataset.num_examples("pairs/train")).astype(np.int64)
        self._frequency = num_pairs[self._items]
        self._traced: tuple[TwoTower, Callable[[dict[str, tf.Tensor]], tf.Tensor]] | None = None

    def __call__(self, model: TwoTower) -> dict[str, Any]:
        """Metrics of the model's current tables, as JSON."""
        return {**self.heldout_losses(model), **self.ranking_metrics(model)}

    def heldout_losses(self, model: TwoTower) -> dict[str, float]:
        """Mean loss of the held-out batches, on one replica, and of the pairs of each relation in them."""
        loss = self._loss_function(model)
        losses: list[float] = []
        totals, num_pairs = dict.fromkeys(self._relations, 0.0), dict.fromkeys(self._relations, 0.0)
        for batch in self._batches:
            losses.append(loss(batch).numpy())
            for number, relation in enumerate(self._relations):
                alone = tf.cast(batch["relation"] == number, tf.float32)  # with these weights the mean is over them
                num_pairs[relation] += float(tf.reduce_sum(alone))
                totals[relation] += float(tf.reduce_sum(alone) * loss({**batch, "weight": alone}))
        return {"heldout_loss": float(np.mean(losses)),
                **{f"relation_{name}/heldout_loss": totals[name] / num_pairs[name]
                   for name in totals if num_pairs[name]}}

    def ranking_metrics(self, model: TwoTower) -> dict[str, Any]:
        """Full-corpus ranking metrics of the held-out users, with the intervals of the means."""
        if not self._cutoffs:
            return {}
        users = model.query_vectors(tf.constant(self._queries.users)).numpy()
        items = model.candidate_vectors(tf.constant(self._items, tf.int32)).numpy()
        top = top_items(users, items, max(self._cutoffs), self._queries.seen)
        return (retrieval_metrics(top, self._queries.relevant, self._cutoffs)
                | coverage(top, len(items), self._cutoffs) | self._sliced_recall(top) | self._intervals(top))

    def _intervals(self, top: np.ndarray) -> dict[str, Any]:
        """The intervals of the means over queries, [low, high] or None, and the numbers of users."""
        by_query = query_metrics(top, self._queries.relevant, self._cutoffs)
        return {"queries": int(np.count_nonzero(self._queries.relevant.counts)),
                "eligible_users": self._queries.eligible,
                "intervals": intervals_json(by_query, CONFIDENCE)}

    def _loss_function(self, model: TwoTower) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
        """The model's loss, traced once and not in each epoch."""
        if self._traced is None or self._traced[0] is not model:
            self._traced = model, tf.function(model.compute_loss, autograph=False)
        return self._traced[1]

    def _sliced_recall(self, top: np.ndarray) -> dict[str, float]:
        """Recall at the largest cut-off by training frequency and by relation."""
        cutoff = max(self._cutoffs)
        slices = recall_by_frequency(top, self._queries.relevant, self._frequency, FREQUENCY_BOUNDS, (cutoff,))
        by_frequency = {f"frequency_{part['from']}_to_{part['to']}/recall@{cutoff}": part[f"recall@{cutoff}"]
                        for part in slices if part["relevant"]}
        return by_frequency | {
            f"relation_{name}/recall@{cutoff}": retrieval_metrics(top, relevant, (cutoff,))[f"recall@{cutoff}"]
            for name, relevant in self._queries.relations.items() if relevant.counts.any()}
