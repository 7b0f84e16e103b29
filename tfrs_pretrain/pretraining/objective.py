"""The configured objective of Stage I: the loss, its negatives, its temperature and its prior."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.config import InBatchNegatives, PretrainingConfig, SoftmaxObjective
from tfrs_pretrain.config.objectives import PackagedNegatives, PackagedObjective
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.adam import LazyAdam
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.own_code import create
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveTask
from tfrs_pretrain.pretraining.negative_sampler import UniformSampler
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.own_code_check import checked_sampler, checked_task


def build_task(settings: PretrainingConfig, num_items: int) -> ContrastiveTask:
    """The configured loss over a corpus of ``num_items`` candidates.

    Raises:
      UserError: the loss of an installed package cannot be created.
    """
    objective, offered = settings.objective, {"num_rows": num_items}
    if isinstance(objective, PackagedObjective):
        return checked_task(objective.plug_in, objective.plug_in.create(
            objective.settings, offered | {"normalize": objective.normalize}), settings)
    task: ContrastiveTask = create(objective.path, objective.task_settings, offered)
    return task


def build_sampling(settings: PretrainingConfig, dataset: Dataset, seed: int) -> NegativeSampling:
    """The configured source of negatives for the items of a dataset.

    Raises:
      UserError: the sampler of an installed package cannot be created.
    """
    negatives = settings.objective.negatives
    if isinstance(negatives, InBatchNegatives):
        return NegativeSampling()
    num_rows, free = dataset.num_rows("item"), dataset.vocabulary("item").free
    if not isinstance(negatives, PackagedNegatives):
        return NegativeSampling(negatives.in_batch, UniformSampler(negatives.count, num_rows, seed, free))
    sampler = negatives.plug_in.create(negatives.settings, {
        "count": negatives.count, "num_rows": num_rows, "seed": seed, "free": free,
        "item_share": dataset.sampling_probability})
    return NegativeSampling(negatives.in_batch, checked_sampler(
        negatives.plug_in, sampler, count=negatives.count, num_rows=num_rows, free=free,
        needs_probability=negatives.log_q != "none"))


def build_log_temperature(settings: PretrainingConfig) -> EmbeddingTable | None:
    """The logarithm of a learnt temperature as a table with one value; call it inside ``strategy.scope()``.

    None if the temperature is fixed.
    """
    objective = settings.objective
    if not isinstance(objective, SoftmaxObjective) or not objective.learn_temperature:
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
