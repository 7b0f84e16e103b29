"""From the configuration's names to the objective of Stage I."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.config import CosineContrastiveObjective, PretrainingConfig, UniformNegatives
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.embeddings.adam import LazyAdam
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.negatives import KnownPositives
from tfrs_pretrain.pretraining.task import ContrastiveTask, CosineContrastive, InBatchSoftmax, UniformSoftmax


def build_task(settings: PretrainingConfig, item_rows: int) -> ContrastiveTask:
    """The loss that the configuration names, over a table of ``item_rows`` candidates."""
    objective = settings.objective
    if isinstance(objective, CosineContrastiveObjective):
        return CosineContrastive(margin=objective.margin, negative_weight=objective.negative_weight)
    negatives = objective.negatives
    if isinstance(negatives, UniformNegatives):
        return UniformSoftmax(temperature=objective.temperature, normalize=objective.normalize, rows=item_rows)
    return InBatchSoftmax(temperature=objective.temperature, normalize=objective.normalize,
                          remove_accidental_hits=negatives.remove_accidental_hits,
                          refined=negatives.log_q == "refined")


def build_log_temperature(settings: PretrainingConfig) -> EmbeddingTable | None:
    """Where the temperature is learnt, its logarithm as a table of one value; call it inside ``strategy.scope()``."""
    objective = settings.objective
    if isinstance(objective, CosineContrastiveObjective) or not objective.learn_temperature:
        return None
    return EmbeddingTable("log_temperature", np.log(np.full((1, 1), objective.temperature, np.float32)), LazyAdam())


def popularity_prior(settings: PretrainingConfig, candidate_probability: np.ndarray) -> np.ndarray | None:
    """float64 [item rows] to add to every logit of an item, None where the configuration asks for none.

    The logits of a softmax over items learn log P(item | user). What the prior already says the rows need not spend
    their directions on: with a prior of 1 what is left to them is the pointwise mutual information of user and item.

    Args:
      settings: ``objective.popularity_prior`` scales it.
      candidate_probability: float64 [item rows], share of each item in the training pairs, all positive.
    """
    if not settings.objective.popularity_prior:
        return None
    return settings.objective.popularity_prior * np.log(candidate_probability)


def known_positives(dataset: Dataset) -> KnownPositives:
    """The training pairs by user row, in memory: 4 bytes a distinct pair and 8 a user."""
    blocks = list(pair_blocks(dataset.files("pairs/train")).as_numpy_iterator())
    users, items = (np.concatenate([block[name] for block in blocks]) for name in ("query", "candidate"))
    return KnownPositives(Interactions.from_pairs(users, items, dataset.rows("user")))
