"""Distillation measurably helps a small student, on data whose true probabilities are known."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import ArmConfig, DistillationConfig
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.distillation.step import distillation_step, label_step

SEEDS, IMPRESSIONS, BATCH, EPOCHS, DIM = 7, 16_000, 128, 2, 2


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def draw(seed, count, users, items):
    """Impressions whose privileged column ``dwell`` determines the click probability; the label is one draw."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, len(users), count), random.integers(0, len(items), count)
    logits = 3 * (users[user] * items[item]).sum(1) - 1
    nothing = {"place": np.zeros(count, np.int64), "outcome": np.zeros(count, np.int64),
               "price": np.zeros(count, np.float32)}
    label = (random.random(count) < sigmoid(logits)).astype(np.float32)
    return {"user": user, "item": item, "dwell": logits.astype(np.float32), "label": label, **nothing}, logits


def expected_loss(planted, config, seed, *, distilled):
    """Expected log loss in nats of a student on new impressions, under the true probabilities."""
    random = np.random.default_rng(100 + seed)
    users, items = (random.standard_normal((rows, DIM)) / DIM**0.25 for rows in (152, 253))
    train, _ = draw(seed, IMPRESSIONS, users, items)
    test, logits = draw(seed + 1000, 20_000, users, items)
    ranking = config.ranking.model_copy(update={"learning_rate": 2e-3})
    student = build_learner(ranking, planted.dataset, ArmConfig(), None, hidden=(16, 8), seed=seed, privileged=False)
    step = label_step(student)
    if distilled:
        teacher = build_learner(ranking, planted.dataset, ArmConfig(), None, hidden=(32, 16), seed=seed + 50,
                                privileged=True)
        step = distillation_step(student, teacher, DistillationConfig(weight=0.8))
    step = tf.function(step, autograph=False)
    for epoch in range(EPOCHS):
        order = np.random.default_rng([seed, epoch]).permutation(IMPRESSIONS)
        for rows in order.reshape(-1, BATCH):
            step({name: tf.constant(values[rows]) for name, values in train.items()})
    scores = np.clip(student.ranker.score(test).numpy()[:, 0].astype(np.float64), 1e-7, 1 - 1e-7)
    truth = sigmoid(logits)
    return float(-np.mean(truth * np.log(scores) + (1 - truth) * np.log(1 - scores)))


@pytest.mark.slow
def test_a_teacher_with_privileged_features_helps_a_small_student(planted, config):
    """Paired over seeds: mean gain above three standard errors, and in all seeds but one at most."""
    gains = np.array([expected_loss(planted, config, seed, distilled=False)
                      - expected_loss(planted, config, seed, distilled=True) for seed in range(SEEDS)])
    assert gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(SEEDS), gains
    assert np.sum(gains > 0) >= SEEDS - 1, gains
    assert gains.mean() > 0.02, gains
