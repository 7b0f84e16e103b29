"""One training step of the same model and loss in this package, TFRS, keras-rs and PyTorch.

Each factory returns a function that runs one step on (user rows, item rows) and returns when the step is complete. All
contenders have two tables, an L2-normalized dot product, temperature, logQ correction and accidental-hit removal, and a
sparse optimizer if the library has one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.recommenders import keras_2, tfrs
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.training.schedules import make_schedule

Step = Callable[[np.ndarray, np.ndarray], None]

TEMPERATURE = 0.1
RATE = 2e-3


def build_ours(users: int, dim: int, probability: np.ndarray) -> TwoTower:
    """Builds this package's model; call it inside ``strategy.scope()``."""
    tables = (EmbeddingTable(name, normal_matrix(rows, dim, 0.05, seed), make_optimizer("lazy_adam"))
              for seed, (name, rows) in enumerate((("user", users), ("item", len(probability)))))
    task = InBatchSoftmax(temperature=TEMPERATURE, normalize=True, remove_accidental_hits=True)
    return TwoTower(*tables, task, probability, make_schedule("constant", RATE, 1))


def ours(users: int, dim: int, probability: np.ndarray) -> Step:
    model = build_ours(users, dim, probability)
    run = tf.function(lambda user, item: model.train_step({"query": user, "candidate": item})["loss"])
    return lambda user, item: run(tf.constant(user), tf.constant(item)).numpy()


def tutorial(users: int, dim: int, probability: np.ndarray) -> Step:
    """The retrieval tutorial of TFRS with its loss's own options: Keras embeddings, Adagrad(0.1)."""

    class Model(tfrs.Model):
        def __init__(self) -> None:
            super().__init__()
            self.users = tf_keras.layers.Embedding(users, dim)
            self.items = tf_keras.layers.Embedding(len(probability), dim)
            with keras_2():
                self.task = tfrs.tasks.Retrieval(temperature=TEMPERATURE, remove_accidental_hits=True)
            self.probability = tf.constant(probability, tf.float32)

        def compute_loss(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
            user, item = inputs
            return self.task(tf.math.l2_normalize(self.users(user), axis=1),
                             tf.math.l2_normalize(self.items(item), axis=1), compute_metrics=False, candidate_ids=item,
                             candidate_sampling_probability=tf.gather(self.probability, item))

    model = Model()
    model.compile(optimizer=tf_keras.optimizers.Adagrad(0.1))
    run = tf.function(lambda user, item: model.train_step((user, item))["loss"])
    return lambda user, item: run(tf.constant(user), tf.constant(item)).numpy()


def keras_rs(users: int, dim: int, probability: np.ndarray) -> Step:
    """Keras 3 embeddings with the retrieval layers of keras-rs, Keras 3's Adagrad.

    Raises:
      ImportError: keras-rs is not installed.
    """
    import keras  # noqa: PLC0415  (optional)
    import keras_rs  # noqa: PLC0415

    user_table, item_table = keras.layers.Embedding(users, dim), keras.layers.Embedding(len(probability), dim)
    correct, remove = keras_rs.layers.SamplingProbabilityCorrection(), keras_rs.layers.RemoveAccidentalHits()
    optimizer = keras.optimizers.Adagrad(0.1)
    chance = tf.constant(probability, tf.float32)
    for table in (user_table, item_table):
        table.build()

    @tf.function
    def run(user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        variables = [*user_table.trainable_variables, *item_table.trainable_variables]
        with tf.GradientTape() as tape:
            logits = tf.matmul(tf.math.l2_normalize(user_table(user), axis=1),
                               tf.math.l2_normalize(item_table(item), axis=1), transpose_b=True) / TEMPERATURE
            labels = tf.eye(len(user))
            logits = remove(correct(logits, tf.gather(chance, item)), labels, item)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits))
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return loss

    return lambda user, item: run(tf.constant(user), tf.constant(item)).numpy()


def torch(users: int, dim: int, probability: np.ndarray) -> Step:
    """PyTorch with sparse embeddings and SparseAdam.

    Raises:
      ImportError: PyTorch is not installed.
    """
    import torch  # noqa: PLC0415  (optional)
    from torch.nn import functional  # noqa: PLC0415

    tables = [torch.nn.Embedding(rows, dim, sparse=True) for rows in (users, len(probability))]
    optimizer = torch.optim.SparseAdam([table.weight for table in tables], lr=RATE)
    log_probability = torch.from_numpy(np.log(probability).astype(np.float32))

    def step(user: np.ndarray, item: np.ndarray) -> None:
        user_ids, item_ids = (torch.from_numpy(ids).long() for ids in (user, item))
        query, candidate = (functional.normalize(table(ids)) for table, ids in zip(tables, (user_ids, item_ids),
                                                                                   strict=True))
        logits = query @ candidate.T / TEMPERATURE - log_probability[item_ids]
        hits = item_ids[:, None] == item_ids[None, :]
        hits.fill_diagonal_(False)
        loss = functional.cross_entropy(logits.masked_fill(hits, -1e9), torch.arange(len(user)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def gemm_floor(dim: int, most: int) -> Step:
    """Runs only the three matrix products that every exact step over the batch's unique items needs.

    ``most`` is the max number of pairs in a batch.
    """
    rows = tf.constant(np.random.default_rng(0).standard_normal((most, dim), np.float32))

    @tf.function
    def products(pairs: tf.Tensor, unique: tf.Tensor) -> tf.Tensor:
        queries, columns = rows[:pairs], rows[:unique]
        logits = tf.matmul(queries, columns, transpose_b=True)
        # The sums prevent the graph optimizer from dropping a product with an unused result.
        return tf.reduce_sum(tf.matmul(logits, columns)) + tf.reduce_sum(tf.matmul(logits, queries, transpose_a=True))

    counts: dict[int, int] = {}

    def step(user: np.ndarray, item: np.ndarray) -> None:
        key = id(item)
        if key not in counts:
            counts[key] = len(np.unique(item))
        products(tf.constant(len(user)), tf.constant(counts[key])).numpy()

    return step
