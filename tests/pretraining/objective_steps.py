"""Trains two towers with one objective and saves the tables of the first replica.

argv: number of logical CPUs, objective ("classic", "mixed" or "cosine"), output file. Prints, as JSON, the mean losses
of the first step and of the others, the number of replicas, and whether all replicas are bit-identical.
"""

import json
import sys

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.replicas import replica_copies
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.cosine_contrastive import CosineContrastive
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.known_positives import KnownPositives
from tfrs_pretrain.pretraining.negative_sampler import UniformSampler
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.progress import progress
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.schedules import make_schedule
from tfrs_pretrain.training.strategy import build_strategy

USERS, ITEMS, DIM, STEPS, BATCH, DRAWS = 50, 40, 8, 20, 32, 24


def build_model(objective, generator, probability):
    """The model of an objective; call it inside ``strategy.scope()``."""
    users, items = (generator.integers(0, size, 300) for size in (USERS, ITEMS))
    known = KnownPositives(Interactions.from_pairs(users, items, USERS))
    options = {"temperature": 0.1, "normalize": True, "remove_accidental_hits": True}
    task, further = {
        "classic": (InBatchSoftmax(**options), {}),
        "mixed": (InBatchSoftmax(**options, refined=True),
                  {"sampling": NegativeSampling(True, UniformSampler(DRAWS, ITEMS, seed=3)), "known": known}),
        "cosine": (CosineContrastive(margin=0.1, negative_weight=5.0),
                   {"sampling": NegativeSampling(False, UniformSampler(DRAWS, ITEMS, seed=3)),
                    "known": known})}[objective]
    if objective == "mixed":
        further |= {"prior": 0.5 * np.log(probability), "log_temperature": EmbeddingTable(
            "t", np.log([[0.1]]), make_optimizer("lazy_adam"))}
    return TwoTower(
        EmbeddingTable("user", normal_matrix(USERS, DIM, 0.1, 1), make_optimizer("lazy_adam", l2=1e-3)),
        EmbeddingTable("item", normal_matrix(ITEMS, DIM, 0.1, 2),
                       make_optimizer("rowwise_adagrad", l2=1e-3, interval_decay=0.01)),
        task, probability, make_schedule("linear", 0.01, steps=STEPS), **further)


def pairs(generator, probability, *, weighted):
    """Batches of pairs. Sorted candidates give the replicas different items."""
    candidates = np.sort(generator.choice(ITEMS, (STEPS, BATCH), p=probability), axis=1).ravel()
    columns = {"query": tf.constant(generator.integers(0, USERS, STEPS * BATCH), tf.int32),
               "candidate": tf.constant(candidates, tf.int32)}
    if weighted:
        columns["weight"] = tf.constant(generator.choice([0, 0.5, 3], STEPS * BATCH), tf.float32)
    return tf.data.Dataset.from_tensors(columns).rebatch(BATCH, drop_remainder=True)


def main(cpus, objective, output):
    strategy = build_strategy(TrainingConfig(logical_cpus=int(cpus)))
    generator = np.random.default_rng(3)
    probability = generator.dirichlet(np.full(ITEMS, 0.3)) * 0.99 + 0.01 / ITEMS
    with strategy.scope():
        model = build_model(objective, generator, probability)
    data = pairs(generator, probability, weighted=objective == "mixed")
    with progress("steps") as meter:
        first, rest = (run_epoch(strategy, model.train_step, part, steps=steps, meter=meter)["loss"]
                       for part, steps in ((data.take(1), 1), (data.skip(1), STEPS - 1)))
    copies = [[copy.numpy() for copy in replica_copies(variable)]
              for table in (model.users, model.items) for variable in (table.weights, *table.slots.values())]
    np.savez(output, *(copy[0] for copy in copies))
    print(json.dumps({"first": first, "rest": rest, "replicas": len(copies[0]), "identical": all(
        np.array_equal(copy[0], other) for copy in copies for other in copy)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
