"""Both stages' training steps on data made up here, for measurements and checks on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.placement import REPLICATED, Placement
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveTask
from tfrs_pretrain.pretraining.cosine_contrastive import CosineContrastive
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.known_positives import KnownPositives
from tfrs_pretrain.pretraining.negative_sampler import UniformSampler
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.pretraining.uniform_softmax import UniformSoftmax
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.model.backbones.dcn_v2 import DcnV2
from tfrs_pretrain.ranking.model.backbones.mlp import Mlp
from tfrs_pretrain.ranking.model.inputs import Inputs, RowInput
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.ranking.model.ranker import build_ranker
from tfrs_pretrain.schema import HISTORY, ITEM_ROW, LABEL, PADDING, USER_ROW
from tfrs_pretrain.training.schedules import make_schedule

STAGE_ONE = ("in_batch", "mixed", "uniform", "cosine", "known_positives", "rowwise_adagrad")
STAGE_TWO = ("mlp", "dcn_v2", "mean", "attention", "attention_bfloat16", "attention_xla")
DIM, DRAWS, LENGTH = 64, 1024, 20

Step = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


class Trainee:
    """A stage's training step with its tables and its batches.

    Attributes:
      step: one update from a batch.
      tables: all embedding tables.
      columns: {name: array [pairs or impressions]}.
    """

    def __init__(self, step: Step, tables: tuple[EmbeddingTable, ...], columns: dict[str, np.ndarray], owner: Any):
        self.step, self.tables, self.columns = step, tables, columns
        self.owner = owner  # a step that is a bound method is found by its owner, which must stay alive

    def batch(self, number: int, size: int) -> dict[str, tf.Tensor]:
        """Returns the batch of that number."""
        return {name: tf.constant(values[number * size:(number + 1) * size]) for name, values in self.columns.items()}


def stage_one(variant: str, users: int, items: int, pairs: int, placement: Placement = REPLICATED) -> Trainee:
    """Builds Stage I with one of the losses and samplings in ``STAGE_ONE``."""
    generator, task, sampling, known = np.random.default_rng(1), None, None, None
    if variant == "mixed":
        sampling = NegativeSampling(True, UniformSampler(DRAWS, items, 1))
    elif variant in ("uniform", "cosine"):
        sampling = NegativeSampling(False, UniformSampler(DRAWS, items, 1))
        task = _uniform_task(variant, items)
    elif variant == "known_positives":
        known = KnownPositives(Interactions.from_pairs(generator.integers(0, users, 10 * users),
                                                       _popular(generator, items, 10 * users), users))
    optimizer = variant if variant == "rowwise_adagrad" else "lazy_adam"
    tables = tuple(EmbeddingTable(name, normal_matrix(rows, DIM, 0.05, seed), make_optimizer(optimizer),
                                  placement=placement)
                   for seed, (name, rows) in enumerate((("user", users), ("item", items))))
    task = task or InBatchSoftmax(temperature=0.1, normalize=True, remove_accidental_hits=True)
    model = TwoTower(*tables, task, np.ones(items) / items, make_schedule("constant", 2e-3, 1), sampling=sampling,
                     known=known)
    columns = {"query": generator.integers(0, users, pairs, np.int32),
               "candidate": _popular(generator, items, pairs).astype(np.int32)}
    return Trainee(model.train_step, tables, columns, model)


def stage_two(variant: str, users: int, items: int, impressions: int, placement: Placement = REPLICATED) -> Trainee:
    """Builds Stage II with one of the networks in ``STAGE_TWO``; ``mean`` and ``attention`` pool a history."""
    pooling = variant.split("_", maxsplit=1)[0] if variant.startswith(("mean", "attention")) else None
    precision = "mixed_bfloat16" if variant.endswith("bfloat16") else "float32"
    rows = [RowInput.single(USER_ROW), RowInput.single(ITEM_ROW)]
    rows += [RowInput(HISTORY, HISTORY, ITEM_ROW, ITEM_ROW, LENGTH, pooling)] if pooling else []
    inputs = Inputs(tuple(rows), {}, ())
    backbone = (DcnV2((128, 64), 1, 2, None, "parallel") if variant == "dcn_v2" else
                Mlp((128, 64), 1, dtype=precision))
    network = RankingNetwork(backbone, 1, attention=inputs.attention, attention_hidden=(32,), dtype=precision)
    tables = {USER_ROW: normal_matrix(users, DIM, 0.05, 0), ITEM_ROW: normal_matrix(items, DIM, 0.05, 1)}
    ranker = build_ranker(inputs, tables, network, rules=dict.fromkeys(inputs.tables, make_optimizer("lazy_adam")),
                          placements=dict.fromkeys(inputs.tables, placement))
    learner = Learner(ranker, learning_rate=3e-3, table_learning_rate=5e-3, jit_compile=variant.endswith("xla"))
    return Trainee(label_step(learner), tuple(ranker.tables.values()),
                   _impressions(users, items, impressions, history=bool(pooling)), learner)


def _uniform_task(variant: str, items: int) -> ContrastiveTask:
    if variant == "cosine":
        return CosineContrastive(margin=0.4, negative_weight=10.0)
    return UniformSoftmax(temperature=0.1, normalize=True, num_rows=items)


def _impressions(users: int, items: int, count: int, *, history: bool) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(2)
    columns = {USER_ROW: generator.integers(0, users, count), ITEM_ROW: _popular(generator, items, count),
               LABEL: (generator.random(count) < 0.2).astype(np.float32)}
    if history:
        is_present = np.arange(LENGTH) < generator.integers(0, LENGTH + 1, (count, 1))
        columns[HISTORY] = np.where(is_present, _popular(generator, items, (count, LENGTH)), PADDING)
    return columns


def _popular(generator: np.random.Generator, items: int, shape: int | tuple[int, int]) -> np.ndarray:
    """int64 [...]: items with Zipf 1.2 popularity."""
    return np.minimum(generator.zipf(1.2, shape) - 1, items - 1)
