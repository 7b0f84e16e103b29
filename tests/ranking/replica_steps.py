"""Trains student and teacher a few steps on as many logical CPUs as asked and saves what they became.

Plain gradient descent stands in for Adam, which would hide a wrong scale of the gradients.
"""

import sys
from pathlib import Path

import numpy as np

from tfrs_pretrain.config import DistillationConfig, TrainingConfig
from tfrs_pretrain.embeddings.optimizers import SparseOptimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.distillation import distillation_step
from tfrs_pretrain.ranking.learner import Learner
from tfrs_pretrain.ranking.ranker import Ranker
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.strategy import build_strategy

STEPS, BATCH = 5, 64


class Descent(SparseOptimizer):
    """Subtracts learning rate times gradient."""

    def slots(self, dim):
        return {}

    def update(self, gradients, slots, step, learning_rate):
        return learning_rate * gradients, {}


def columns():
    random = np.random.default_rng(1)
    size = STEPS * BATCH
    return {"user": random.integers(0, 20, size), "item": random.integers(0, 30, size),
            "place": random.integers(0, 3, size), "outcome": random.integers(0, 4, size),
            "price": random.normal(3, 2, size).astype(np.float32),
            "dwell": random.standard_normal(size).astype(np.float32),
            "label": random.integers(0, 2, size).astype(np.float32)}


def descending(learner):
    """The same ranker under plain gradient descent."""
    import keras

    ranker = learner.ranker
    tables = {name: EmbeddingTable(name, table.numpy(), Descent()) for name, table in ranker.tables.items()}
    twin = Learner(Ranker(ranker.inputs, tables, ranker.network), learning_rate=0.1,
                   table_learning_rate=5.0)
    twin.optimizer = keras.optimizers.SGD(0.1)
    twin.optimizer.build(ranker.network.trainable_variables)
    return twin


def main(folder, replicas, output):
    import tensorflow as tf
    from conftest import TREE

    from tfrs_pretrain.config import Config
    from tfrs_pretrain.data.dataset import Dataset

    config, dataset = Config.model_validate(TREE), Dataset.open(Path(folder))
    strategy = build_strategy(TrainingConfig(logical_cpus=int(replicas)))
    assert strategy.num_replicas_in_sync == int(replicas)
    with strategy.scope():
        student, teacher = (
            descending(build_learner(config.ranking, dataset, config.ranking.arms["scratch"], None, hidden=(8,),
                                     seed=3, privileged=role == "teacher"))
            for role in ("student", "teacher"))
        step = distillation_step(student, teacher, DistillationConfig(weight=0.5, temperature=2.0, warmup_steps=4))
    batches = tf.data.Dataset.from_tensor_slices(columns()).batch(BATCH, drop_remainder=True)
    with progress("steps") as meter:
        metrics = run_epoch(strategy, step, batches, steps=STEPS, meter=meter)
    state = {}
    for role, learner in (("student", student), ("teacher", teacher)):
        for name, table in learner.ranker.tables.items():
            state |= {f"{role}/{name}/{i}": part.numpy()
                      for i, part in enumerate(strategy.experimental_local_results(table.weights))}
        for index, variable in enumerate(learner.ranker.network.trainable_variables):
            state |= {f"{role}/w{index}/{i}": part.numpy()
                      for i, part in enumerate(strategy.experimental_local_results(variable.value))}
    scores = student.ranker.score({name: tf.constant(values) for name, values in columns().items()})
    np.savez(output, scores=scores, **state, **{f"metric/{name}": value for name, value in metrics.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
