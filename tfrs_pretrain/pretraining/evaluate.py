"""How well the rows predict engagements that they were not trained on."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import PretrainingConfig
from tfrs_pretrain.data.dataset import Dataset, pair_columns
from tfrs_pretrain.data.pairs import pair_blocks, shuffled_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.metrics.retrieval import coverage, recall_by_frequency, retrieval_metrics
from tfrs_pretrain.metrics.top_items import top_items
from tfrs_pretrain.pretraining.model import TwoTower

FREQUENCY_BOUNDS = (5, 20, 100)  # training pairs of an item, where one slice ends and the next begins
_ORDER_SEED = 0  # not the run's seed: runs with different seeds are judged on the same batches


@dataclasses.dataclass(frozen=True)
class Queries:
    """Held-out users with what they engaged with.

    Attributes:
      rows: int64 [queries], rows of the user table.
      relevant: held-out items that are new to the user, as known items counted from 0.
      seen: training items, likewise.
      relations: relation -> the relevant items that were engaged with so; empty where there are no relations.
    """

    rows: np.ndarray
    relevant: Interactions
    seen: Interactions
    relations: dict[str, Interactions]


class Evaluator:
    """Judges a model after each epoch on the same held-out pairs.

    ``heldout_loss`` is the training loss over pairs/heldout in fixed batches, so the negatives are the same in every
    epoch. It depends on the batch size and on ``log_q``: compare it between epochs, and between configurations only
    where these are equal.

    ``recall@k``, ``ndcg@k`` and ``mrr@k`` rank *all* known items for at most ``max_queries`` held-out users (those with
    the smallest hash), without the items that the user has in pairs/train: they judge what is new to the user, however
    often users repeat themselves. Users and items outside the vocabulary take no part in the ranking. ``coverage@k`` is
    the share of the known items in those lists, ``frequency_<from>_to_<to>/recall@k`` the recall of items with so many
    training pairs (``to`` exclusive), for the largest k and where the slice has a relevant item.

    Where the pairs have relations, ``heldout_loss`` weighs them as training does, ``relation_<name>/heldout_loss`` is
    the mean over this relation's pairs alone, against the same negatives, and ``relation_<name>/recall@k`` counts the
    items engaged with in this relation, for the largest k.

    Raises:
      UserError: there are fewer than two held-out pairs.
    """

    def __init__(self, dataset: Dataset, config: PretrainingConfig):
        heldout = dataset.num_examples("pairs/heldout")
        if heldout < 2:
            raise UserError(f"dataset {str(dataset.folder)!r} has {heldout} held-out pairs, at least 2 are needed: "
                            "raise dataset.heldout_fraction")
        self._cutoffs = config.recall_at
        self._batches = shuffled_batches(dataset.files("pairs/heldout"), min(config.batch_size, heldout),
                                         seed=_ORDER_SEED, epoch=0, columns=pair_columns(dataset.schema))
        self._relations = dataset.relations
        self._first_item = dataset.schema.item.oov_rows
        self._queries = select_queries(dataset, config.max_queries)
        pairs = np.rint(dataset.candidate_probability * dataset.num_examples("pairs/train")).astype(np.int64)
        self._frequency = pairs[self._first_item:]
        self._losses: tuple[TwoTower | None, Any] = (None, None)

    def __call__(self, model: TwoTower) -> dict[str, float]:
        """Metrics of the model as it is now."""
        return {**self.heldout_losses(model), **self.ranking(model)}

    def heldout_losses(self, model: TwoTower) -> dict[str, float]:
        """Mean loss of the held-out batches, on one replica, and of the pairs of each relation in them."""
        if self._losses[0] is not model:  # traced once, not in each epoch
            self._losses = model, tf.function(model.compute_loss, autograph=False)
        step = self._losses[1]
        losses: list[float] = []
        totals, pairs = dict.fromkeys(self._relations, 0.0), dict.fromkeys(self._relations, 0.0)
        for batch in self._batches:
            losses.append(step(batch).numpy())
            for place, relation in enumerate(self._relations):
                alone = tf.cast(batch["relation"] == place, tf.float32)  # with these weights the mean is over them
                pairs[relation] += float(tf.reduce_sum(alone))
                totals[relation] += float(tf.reduce_sum(alone) * step({**batch, "weight": alone}))
        return {"heldout_loss": float(np.mean(losses)),
                **{f"relation_{name}/heldout_loss": totals[name] / pairs[name] for name in totals if pairs[name]}}

    def ranking(self, model: TwoTower) -> dict[str, float]:
        """Full-corpus ranking metrics of the held-out users."""
        if not self._cutoffs:
            return {}
        users = model.query_vectors(tf.constant(self._queries.rows)).numpy()
        items = model.candidate_vectors(tf.range(self._first_item, model.items.num_rows)).numpy()
        top = top_items(users, items, max(self._cutoffs), self._queries.seen)
        return (retrieval_metrics(top, self._queries.relevant, self._cutoffs)
                | coverage(top, len(items), self._cutoffs) | self._sliced_recall(top))

    def _sliced_recall(self, top: np.ndarray) -> dict[str, float]:
        last = max(self._cutoffs)
        slices = recall_by_frequency(top, self._queries.relevant, self._frequency, FREQUENCY_BOUNDS, (last,))
        by_frequency = {f"frequency_{part['from']}_to_{part['to']}/recall@{last}": part[f"recall@{last}"]
                        for part in slices if part["relevant"]}
        return by_frequency | {
            f"relation_{name}/recall@{last}": retrieval_metrics(top, relevant, (last,))[f"recall@{last}"]
            for name, relevant in self._queries.relations.items() if relevant.counts.any()}


def select_queries(dataset: Dataset, most: int) -> Queries:
    """At most ``most`` known users with a known held-out item, those whose row has the smallest hash."""
    users, items, relation = _known_pairs(dataset, "pairs/heldout", None)
    candidates = np.unique(users)
    rows = np.sort(candidates[np.argsort(hash_ids(candidates), kind="stable")[:most]])
    wanted = np.zeros(dataset.num_rows("user"), bool)
    wanted[rows] = True
    known_users, known_items, _ = _known_pairs(dataset, "pairs/train", wanted)
    seen = Interactions.from_pairs(np.searchsorted(rows, known_users), known_items, len(rows))

    def relevant(kept: np.ndarray) -> Interactions:
        return Interactions.from_pairs(np.searchsorted(rows, users[kept]), items[kept], len(rows)).without(seen)

    return Queries(rows, relevant(wanted[users]), seen, {name: relevant(wanted[users] & (relation == place))
                                                         for place, name in enumerate(dataset.relations)})


def _known_pairs(dataset: Dataset, split: str,
                 wanted: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs inside the vocabularies (of wanted users only): user rows, known items counted from 0, relations.

    All int64 [n]; the relation is 0 everywhere where there are none.
    """
    first_user, first_item = dataset.schema.user.oov_rows, dataset.schema.item.oov_rows
    columns = [np.empty((3, 0), np.int64)]
    for block in pair_blocks(dataset.files(split), pair_columns(dataset.schema)).as_numpy_iterator():
        user, item = block["query"], block["candidate"]
        kept = (user >= first_user) & (item >= first_item)
        if wanted is not None:
            kept &= wanted[user]
        relation = block.get("relation", np.zeros_like(user))
        columns.append(np.stack([user, item - first_item, relation])[:, kept].astype(np.int64))
    users, items, relations = np.concatenate(columns, axis=1)
    return users, items, relations
