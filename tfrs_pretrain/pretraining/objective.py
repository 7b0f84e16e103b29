"""The configured objective of Stage I: the loss, its temperature and its prior."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.config import CosineContrastiveObjective, PretrainingConfig, UniformNegatives
from tfrs_pretrain.embeddings.adam import LazyAdam
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveTask
from tfrs_pretrain.pretraining.cosine_contrastive import CosineContrastive
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.uniform_softmax import UniformSoftmax


def build_task(settings: PretrainingConfig, num_items: int) -> ContrastiveTask:
    """The configured loss over a corpus of ``num_items`` candidates."""
    objective = settings.objective
    if isinstance(objective, CosineContrastiveObjective):
        return CosineContrastive(margin=objective.margin, negative_weight=objective.negative_weight)
    negatives = objective.negatives
    if isinstance(negatives, UniformNegatives):
        return UniformSoftmax(temperature=objective.temperature, normalize=objective.normalize, num_rows=num_items)
    return InBatchSoftmax(temperature=objective.temperature, normalize=objective.normalize,
                          remove_accidental_hits=negatives.remove_accidental_hits,
                          refined=negatives.log_q == "refined")


def build_log_temperature(settings: PretrainingConfig) -> EmbeddingTable | None:
    """The logarithm of a learnt temperature as a table with one value; call it inside ``strategy.scope()``.

    None if the temperature is fixed.
    """
    objective = settings.objective
    if isinstance(objective, CosineContrastiveObjective) or not objective.learn_temperature:
        return None
    return EmbeddingTable("log_temperature", np.log(np.full((1, 1), objective.temperature, np.float32)), LazyAdam())


def popularity_prior(settings: PretrainingConfig, candidate_probability: np.ndarray) -> np.ndarray | None:
    """float64 [num_items] to add to every logit of an item; None if the prior is off.

    The logits of a softmax over items learn log P(item | user). The rows need not represent what the prior already
    does: with a prior of 1 they represent the pointwise mutual information of user and item.

    Args:
      settings: ``objective.popularity_prior`` scales it.
      candidate_probability: float64 [num_items], share of each item in the training pairs, all positive.
    """
    if not settings.objective.popularity_prior:
        return None
    prior: np.ndarray = settings.objective.popularity_prior * np.log(candidate_probability)
    return prior
