import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import ArmConfig, DistillationConfig
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.distillation.step import distillation_step, label_step
from tfrs_pretrain.ranking.learning.losses import MAIN_LABEL_LOSS


@pytest.fixture
def batch():
    random = np.random.default_rng(5)
    return {"user": tf.constant(random.integers(0, 6, 32)), "item": tf.constant(random.integers(0, 9, 32)),
            "place": tf.constant(random.integers(0, 3, 32)), "outcome": tf.constant(random.integers(0, 4, 32)),
            "price": tf.constant(random.normal(3, 2, 32), tf.float32), "dwell": tf.random.normal([32], seed=1),
            "label": tf.constant(random.integers(0, 2, 32), tf.float32)}


def state(learner):
    return [table.numpy() for table in learner.ranker.tables.values()] + learner.ranker.network.get_weights()


class Adam:
    """Adam of one array in float64; Keras adds epsilon before the second moment's bias correction, lazy Adam after."""

    def __init__(self, value, epsilon, *, keras_form, lazy):
        self.value, self.epsilon, self.keras_form, self.lazy = value.astype(np.float64), epsilon, keras_form, lazy
        self.mean, self.square, self.step = np.zeros_like(self.value), np.zeros_like(self.value), 0

    def update(self, gradient, touched):
        rows = touched if self.lazy else slice(None)
        self.step += 1
        self.mean[rows] = 0.9 * self.mean[rows] + 0.1 * gradient[rows]
        self.square[rows] = 0.999 * self.square[rows] + 0.001 * gradient[rows] ** 2
        epsilon = self.epsilon / (np.sqrt(1 - 0.999**self.step) if self.keras_form else 1)
        root = np.sqrt(self.square[rows] / (1 - 0.999**self.step)) + epsilon
        self.value[rows] -= 5e-3 * self.mean[rows] / (1 - 0.9**self.step) / root


def naive_logits(batch, tables, weights):
    """The ranker over whole tables; rows are selected by a one-hot product."""
    price = ((batch["price"] - 3.0) / 2.0)[:, None]
    rows = {name: tf.matmul(tf.one_hot(batch[name], len(table)), table) for name, table in tables.items()}
    cosine = -keras.losses.cosine_similarity(rows["user"], rows["item"])[:, None]
    hidden = tf.concat([rows["item"], price, rows["place"], cosine, rows["user"]], axis=1)
    for kernel, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        hidden = tf.nn.relu(hidden @ kernel + bias)
    return hidden @ weights[-2] + weights[-1]


def test_steps_equal_a_naive_twin_with_lazy_adam_rows_and_dense_adam_weights(build, batch):
    learner = build("student")
    names = list(learner.ranker.tables)
    twins = [Adam(value, 1e-8 if i < len(names) else 1e-7, keras_form=i >= len(names), lazy=i < len(names))
             for i, value in enumerate(state(learner))]
    for shift in range(4):
        shifted = batch | {name: tf.roll(batch[name], shift, 0) for name in names}
        values = [tf.constant(twin.value, tf.float32) for twin in twins]
        with tf.GradientTape() as tape:
            tape.watch(values)
            logits = naive_logits(shifted, dict(zip(names, values, strict=False)), values[len(names):])
            stock = tf.nn.sigmoid_cross_entropy_with_logits(labels=shifted["label"][:, None], logits=logits)
            loss = tf.reduce_mean(stock)
        for i, (twin, gradient) in enumerate(zip(twins, tape.gradient(loss, values), strict=True)):
            touched = np.unique(shifted[names[i]]) if i < len(names) else None
            twin.update(gradient.numpy().astype(np.float64), touched)
        returned = learner.train_step(shifted, lambda logits, b=shifted: MAIN_LABEL_LOSS(b, logits)).logits
        np.testing.assert_allclose(returned, logits, atol=2e-4)
    for now, twin in zip(state(learner), twins, strict=True):
        np.testing.assert_allclose(now, twin.value, atol=1e-4)


def test_every_trainable_weight_and_touched_row_changes(build, batch):
    student, teacher = build("student"), build("teacher")
    before = {id(learner): state(learner) for learner in (student, teacher)}
    step = distillation_step(student, teacher, DistillationConfig())
    tf.function(step, autograph=False)(batch)
    for learner in (student, teacher):
        for now, old in zip(state(learner), before[id(learner)], strict=True):
            assert not np.array_equal(now, old)
        for name, table in learner.ranker.tables.items():
            touched = np.unique(batch[name])
            first = before[id(learner)][list(learner.ranker.tables).index(name)]
            changed = np.flatnonzero((table.numpy() != first).any(axis=1))
            np.testing.assert_array_equal(changed, touched)


def test_training_lowers_the_loss_and_counts_steps(build, batch):
    learner = build("student")
    step = tf.function(label_step(learner), autograph=False)
    losses = [float(step(batch)["loss"]) for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]
    assert int(learner.steps) == 40


def test_pretrained_tables_have_their_own_learning_rate(planted, planted_embeddings, config, batch):
    """The first step of Adagrad has the size of the learning rate."""
    ranking = config.ranking.model_copy(update={"table_optimizer": "adagrad"})
    transfer = {"kind": "warm_start", "pretrained_learning_rate_scale": 0.2, "evidence": None}
    arm = ArmConfig(transfer=transfer, tables={"item": "scratch"})
    learner = build_learner(ranking, planted.dataset, arm, Embeddings.open(planted_embeddings), hidden=(4,), seed=1,
                            privileged=False)
    before = {name: table.numpy() for name, table in learner.ranker.tables.items()}
    learner.train_step(batch, lambda logits: MAIN_LABEL_LOSS(batch, logits))
    for name, rate in {"user": 1e-3, "item": 5e-3, "place": 5e-3}.items():
        moved = np.abs(learner.ranker.tables[name].numpy() - before[name])[np.unique(batch[name])]
        np.testing.assert_allclose(moved, rate, rtol=1e-2)
