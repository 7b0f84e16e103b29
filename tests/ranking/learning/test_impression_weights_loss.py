"""Weights of impressions in the loss."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.distillation.step import soft_losses
from tfrs_pretrain.ranking.learning.losses import LabelLoss, NegativeSampling

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(8, 2)).astype(np.float32)
BATCH = {"label": RANDOM.integers(0, 2, 8).astype(np.float32), "liked": RANDOM.integers(0, 2, 8).astype(np.float32),
         "weight": np.array([0, 1, 2, 0.5, 3, 0, 1, 0.25], np.float32)}
LOSS = LabelLoss({"label": 1.0, "liked": 0.5}, NegativeSampling(0.3, 0.5))
MEAN = float(BATCH["weight"].mean())


def test_losses_against_labels_and_teachers_are_multiplied_by_the_weight_over_its_mean():
    weighted = dataclasses.replace(LOSS, mean_weight=MEAN)
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = weighted(BATCH, logits)
    np.testing.assert_allclose(losses, LOSS(BATCH, LOGITS) * BATCH["weight"] / MEAN, rtol=1e-6)
    assert (tape.gradient(losses, logits).numpy() == 0).all(axis=1).tolist() == (BATCH["weight"] == 0).tolist()
    soft = soft_losses(LOGITS[::-1], LOGITS, 2.0)
    np.testing.assert_allclose(weighted.reduce_heads(BATCH, soft),
                               LOSS.reduce_heads(BATCH, soft) * BATCH["weight"] / MEAN, rtol=1e-6)


def test_the_scale_of_all_weights_does_not_matter():
    scaled = BATCH | {"weight": BATCH["weight"] * 1024}
    np.testing.assert_array_equal(dataclasses.replace(LOSS, mean_weight=MEAN)(BATCH, LOGITS),
                                  dataclasses.replace(LOSS, mean_weight=MEAN * 1024)(scaled, LOGITS))


def test_weights_of_1_change_no_bit_of_loss_and_gradient():
    batch, found = BATCH | {"weight": np.ones(8, np.float32)}, []
    for loss in (LOSS, dataclasses.replace(LOSS, mean_weight=1.0)):
        logits = tf.constant(LOGITS)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = tf.reduce_mean(loss(batch, logits))
        found.append((value.numpy(), tape.gradient(value, logits).numpy().tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("schema", [{}, {"impression_weight": "minutes"}, {"propensity": "shown"}])
def test_the_mean_weight_is_that_of_the_training_window(schema, planted):
    info = {"config": {"schema": planted.dataset.info["config"]["schema"] | schema},
            "splits": {"impressions/train": {"weight_mean": 1.75}}}
    loss = LabelLoss.from_config(RankingConfig(arms={}), Dataset(planted.dataset.folder, info))
    assert loss.mean_weight == (1.75 if schema else None)


def test_training_impressions_without_weight_are_refused(planted):
    info = {"config": {"schema": planted.dataset.info["config"]["schema"] | {"impression_weight": "minutes"}},
            "splits": {"impressions/train": {"weight_mean": 0.0}}}
    with pytest.raises(UserError, match=r"all training impressions .* have weight 0"):
        LabelLoss.from_config(RankingConfig(arms={}), Dataset(planted.dataset.folder, info))
