"""Construct the two-tower model from configuration, dataset and earlier rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from rich.text import Text

from tfrs_pretrain.config import Config
from tfrs_pretrain.config.objectives import PackagedNegatives, PackagedObjective
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.placement import REPLICATED, Placement
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.own_code import NEGATIVES, TASKS, refuse_taken_names
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveTask
from tfrs_pretrain.pretraining.known_positives import load_known_positives
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.objective import (
    build_log_temperature,
    build_sampling,
    build_task,
    popularity_prior,
)
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.progress import console, print_warning
from tfrs_pretrain.row_arrays import NormalRows, Rows
from tfrs_pretrain.training.schedules import make_schedule


def build_model(config: Config, dataset: Dataset, steps: int, earlier: Embeddings | None = None, *,
                placements: Mapping[str, Placement] | None = None) -> TwoTower:
    """Create the tables, the loss and the model; call it inside ``strategy.scope()``.

    Args:
      config: settings of Stage I and the seed.
      dataset: gives sizes, vocabularies and the items' shares.
      steps: steps of all epochs.
      earlier: embeddings to start from; None for random rows.
      placements: table -> its placement; the others are replicated.
    """
    settings = config.pretraining
    sampling, task = build_objective(config, dataset)
    users, items = (EmbeddingTable(name, matrix, make_optimizer(settings.optimizer, l2=settings.embedding_l2,
                                                                interval_decay=settings.interval_decay),
                                   placement=(placements or {}).get(name, REPLICATED))
                    for name, matrix in _initial_matrices(config, dataset, earlier))
    learning_rate = make_schedule(settings.schedule, settings.learning_rate, steps,
                                  warmup_steps=settings.warmup_steps)
    negatives, share = settings.objective.negatives, dataset.sampling_probability
    probability = sampling.probability(share, settings.batch_size) if negatives.log_q != "none" else None
    return TwoTower(users, items, task, probability, learning_rate,
                    sampling=sampling, prior=popularity_prior(settings, share),
                    known=load_known_positives(dataset) if negatives.mask_known_positives else None,
                    log_temperature=build_log_temperature(settings))


def build_objective(config: Config, dataset: Dataset) -> tuple[NegativeSampling, ContrastiveTask]:
    """The negatives and the loss; those of installed packages are checked.

    Raises:
      UserError: an installed package does not fulfil its contract.
    """
    refuse_taken_names(TASKS, PackagedObjective.built_in)
    refuse_taken_names(NEGATIVES, PackagedNegatives.built_in)
    settings, items = config.pretraining, dataset.vocabulary("item")
    return (build_sampling(settings, dataset, config.seed),
            build_task(settings, dataset.num_rows("item") - len(items.free)))


def _initial_matrices(config: Config, dataset: Dataset,
                      earlier: Embeddings | None) -> Iterator[tuple[str, Rows]]:
    """Name and float32 [num_rows, dim] initial values of the user and the item table."""
    settings = config.pretraining
    seeds = np.random.SeedSequence(config.seed).generate_state(2)
    for name, seed in zip(("user", "item"), seeds, strict=True):
        matrix: Rows = NormalRows(dataset.num_rows(name), settings.dim, settings.initial_scale, seed)
        if earlier:
            matrix, copied = earlier.copy_known_rows(matrix, name, dataset)
            ids = dataset.vocabulary(name).num_ids
            text = f"{name}: {copied:,} of {ids:,} ids start from their rows in {earlier.folder}"
            console.print(Text(text, style="dim"), soft_wrap=True)
            if not copied:
                print_warning(f"no {name} id of this dataset has a row in {earlier.folder}, so --start-from has no "
                              f"effect on the {name} table: compare the ids of both datasets, or omit --start-from")
        yield name, matrix
