"""Trains student and teacher a few steps on the given number of replicas and saves the result.

Arguments: dataset, number of logical CPUs or "worker" (of TF_CONFIG), output file. Under gradient descent with rate 1
the difference of two tables is their gradient; Adam would hide a wrong scale.
"""

import sys

import numpy as np

from tfrs_pretrain.config import Config, DistillationConfig, TrainingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.sparse_optimizer import SparseOptimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.distillation.step import distillation_step
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.learning.losses import LabelLoss
from tfrs_pretrain.ranking.model.cold_rows import ColdRows, ColdRule
from tfrs_pretrain.ranking.model.dropout import RowDropout
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.ranking.transfer.anchor import Anchor
from tfrs_pretrain.ranking.transfer.table_policies import TablePolicy
from tfrs_pretrain.schema import LABEL
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.strategy import build_strategy

STEPS, BATCH = 20, 64
LABEL_LOSS = LabelLoss({LABEL: 1.0}, optional=frozenset({LABEL}), mean_weight=2.0)


class Descent(SparseOptimizer):
    """Subtracts learning rate times gradient."""

    def slot_specs(self, dim):
        return {}

    def update(self, gradients, slots, step, learning_rate):
        return learning_rate * gradients, {}


def columns():
    """Impressions with Zipf items; sorted within each batch, so that each replica sees other items.

    A fifth of the labels is missing, so that each replica has another number of them, and another sum of weights.
    """
    random = np.random.default_rng(1)
    size = STEPS * BATCH
    items = np.sort(np.minimum(random.zipf(1.3, (STEPS, BATCH)), 253) - 1, axis=1).ravel()
    return {"user": random.integers(0, 20, size), "item": items,
            "place": random.integers(0, 3, size), "outcome": random.integers(0, 4, size),
            "price": random.normal(3, 2, size).astype(np.float32),
            "dwell": random.standard_normal(size).astype(np.float32),
            "label": random.choice([0, 1, np.nan], size, p=[0.4, 0.4, 0.2]).astype(np.float32),
            "weight": random.exponential(2.0, size).astype(np.float32)}


def descending(learner):
    """The same ranker under plain gradient descent."""
    import keras

    ranker = learner.ranker
    tables = {name: EmbeddingTable(name, table.numpy(), Descent()) for name, table in ranker.tables.items()}
    twin = Learner(Ranker(ranker.inputs, tables, ranker.network), learning_rate=1.0, table_learning_rate=1.0,
                   label_loss=LABEL_LOSS)
    twin.optimizer = keras.optimizers.SGD(1.0)
    twin.optimizer.build(ranker.network.trainable_variables)
    return twin


def held(learner):
    """The same ranker with everything that acts on tables.

    Dropout of rows and values, an anchor, a table that unfreezes, interval decay, rates by row, predicted rows of
    unknown ids.
    """
    ranker = learner.ranker
    rule = make_optimizer("lazy_adam", interval_decay=0.02)
    tables = {name: EmbeddingTable(name, table.numpy(), rule) for name, table in ranker.tables.items()}
    everywhere = np.ones(tables["user"].num_rows, bool)
    effects = np.random.default_rng(8).standard_normal((5, 8)).astype(np.float32)
    cold_rows = ColdRows({"item": ColdRule(100, effects[0], {"place": effects[1:4]}, {"price": effects[4]})},
                         ranker.inputs.numeric)
    scales = np.linspace(0.1, 2, tables["user"].num_rows, dtype=np.float32)
    return Learner(Ranker(ranker.inputs, tables, ranker.network, cold_rows=cold_rows), learning_rate=3e-3,
                   table_learning_rate=5e-3, label_loss=LABEL_LOSS,
                   policies={"user": TablePolicy(dropout=RowDropout(0.3, whole_rows=False, seed=5), row_scales=scales),
                             "item": TablePolicy(trainable_from=4, dropout=RowDropout(0.3, whole_rows=True, seed=6))},
                   anchor=Anchor(0.5, {"user": tables["user"].numpy()}, {"user": everywhere}))


def masked(learner):
    """The same learner with labels that may be missing, and weights."""
    learner.label_loss = LABEL_LOSS
    return learner


def copies(strategy, learners):
    """Copies of every variable on every local replica."""
    found = {}
    for role, learner in learners.items():
        tables = {f"{name}/{key}": variable for name, table in learner.ranker.tables.items()
                  for key, variable in (("rows", table.weights), *table.slots.items())}
        weights = {f"weights{i}": variable.value
                   for i, variable in enumerate(learner.ranker.network.trainable_variables)}
        found |= {f"{role}/{name}/{replica}": copy.numpy() for name, variable in (tables | weights).items()
                  for replica, copy in enumerate(strategy.experimental_local_results(variable))}
    return found


def trained(strategy, dataset, steps, change=lambda learner: learner):
    """Mean losses, and the replicas' variables before and after some steps."""
    import tensorflow as tf

    config = Config.model_validate(dataset.info["config"])
    with strategy.scope():
        learners = {role: change(build_learner(config.ranking, dataset, config.ranking.arms["scratch"], None,
                                               hidden=(8,), seed=3, privileged=role == "teacher"))
                    for role in ("student", "teacher")}
        step = distillation_step(*learners.values(), DistillationConfig(weight=0.5, temperature=2.0, warmup_steps=4))
    start = copies(strategy, learners)
    batches = tf.data.Dataset.from_tensors(columns()).rebatch(BATCH, drop_remainder=True)
    with progress("steps") as meter:
        means = run_epoch(strategy, step, batches, steps=steps, meter=meter)
    return means, start, copies(strategy, learners)


def results(strategy, dataset):
    """Losses, gradients, tables and weights, to be compared between numbers of replicas."""
    first, start, once = trained(strategy, dataset, 1, descending)
    means, _, after = trained(strategy, dataset, STEPS, masked)
    held_means, _, held_after = trained(strategy, dataset, STEPS, held)
    after |= {f"held/{name}": values for name, values in held_after.items()}
    means |= {f"held/{name}": value for name, value in held_means.items()}
    gradients = {f"gradient/{name}": start[name] - once[name] for name in start}
    return {**{f"first/{name}": value for name, value in first.items()},
            **{f"mean/{name}": value for name, value in means.items()},
            "replicas": strategy.num_replicas_in_sync, **after, **gradients}


def main(folder, replicas, output):
    training = (TrainingConfig(strategy="multi_worker") if replicas == "worker" else
                TrainingConfig(strategy="mirrored", logical_cpus=int(replicas)))
    strategy = build_strategy(training)
    np.savez(output, **results(strategy, Dataset.open(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
