"""The two towers: what a step changes, and that replicas do not change it (in processes of their own)."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import run_for_json

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.pretraining.cosine_contrastive import CosineContrastive
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.negative_sampler import UniformSampler
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.recommenders import tfrs
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.training.schedules import make_schedule

SCRIPT = Path(__file__).with_name("objective_steps.py")
BATCH = {"query": tf.constant([1, 2, 1, 4]), "candidate": tf.constant([3, 3, 0, 5])}


@pytest.fixture
def model():
    task = InBatchSoftmax(temperature=0.1, normalize=True, remove_accidental_hits=True)
    return TwoTower(EmbeddingTable("user", normal_matrix(6, 4, 0.1, 1), make_optimizer("adagrad")),
                    EmbeddingTable("item", normal_matrix(7, 4, 0.1, 2), make_optimizer("adagrad")),
                    task, np.full(7, 1 / 7), make_schedule("linear", 0.1, steps=2))


def test_a_step_moves_every_row_of_the_batch_and_no_other(model):
    assert isinstance(model, tfrs.Model)
    before = {"user": model.users.numpy(), "item": model.items.numpy()}
    loss = model.test_step(BATCH)["loss"]
    assert float(model.train_step(BATCH)["loss"]) == pytest.approx(float(loss))
    moved = {name: np.flatnonzero((table.numpy() != before[name]).any(axis=1)).tolist()
             for name, table in (("user", model.users), ("item", model.items))}
    assert moved == {"user": [1, 2, 4], "item": [0, 3, 5]}
    assert float(model.test_step(BATCH)["loss"]) < float(loss)


def test_only_ratios_of_weights_matter(model):
    plain = float(model.compute_loss(BATCH))
    for weights in ([1, 1, 1, 1], [0.2, 0.2, 0.2, 0.2]):
        assert float(model.compute_loss(BATCH | {"weight": tf.constant(weights, tf.float32)})) == pytest.approx(plain)
    one, other = (float(model.compute_loss(BATCH | {"weight": tf.constant(weights)}))
                  for weights in ([3.0, 1, 0, 0.5], [6.0, 2, 0, 1]))
    assert one == pytest.approx(other)
    alone = [float(model.compute_loss(BATCH | {"weight": tf.one_hot(pair, 4)})) for pair in range(4)]
    assert plain == pytest.approx(np.mean(alone), rel=1e-5)
    assert one == pytest.approx((3 * alone[0] + alone[1] + 0.5 * alone[3]) / 4.5, rel=1e-5)
    assert float(model.compute_loss(BATCH | {"weight": tf.zeros(4)})) == 0.0


def test_a_pair_of_weight_zero_teaches_its_query_nothing(model):
    before = model.users.numpy()
    weighted = BATCH | {"weight": tf.constant([1.0, 0.0, 2.0, 1.0])}
    loss = float(model.compute_loss(weighted))
    assert float(model.compute_loss(weighted | {"query": tf.constant([1, 5, 1, 4])})) == loss
    model.train_step(weighted)
    assert np.flatnonzero((model.users.numpy() != before).any(axis=1)).tolist() == [1, 4]


def test_learning_rate_follows_the_schedule(model):
    model.train_step(BATCH)
    model.train_step(BATCH)
    after_two = model.users.numpy()
    model.train_step(BATCH)  # the schedule has ended: rate 0
    np.testing.assert_array_equal(model.users.numpy(), after_two)


def test_losses_without_an_update_use_the_same_draws_and_steps_use_others(model):
    model.sampling = NegativeSampling(False, UniformSampler(3, 7, seed=1))
    model.task = CosineContrastive(margin=0.1, negative_weight=5.0)
    assert float(model.compute_loss(BATCH)) == float(model.compute_loss(BATCH))
    draws = {tuple(model.sampling.candidates(BATCH["candidate"], tf.constant(step, tf.int64)).ids.numpy())
             for step in (-1, 0, 1)}
    assert len(draws) == 3


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["classic", "mixed", "cosine"])
def test_replicas_change_nothing(objective, tmp_path):
    one, two = (run_for_json([SCRIPT, cpus, objective, tmp_path / f"{cpus}.npz"]) for cpus in (1, 2))
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert two["identical"]
    assert one["first"] == pytest.approx(two["first"], abs=1e-6)
    assert one["rest"] == pytest.approx(two["rest"], abs=1e-5)
    with np.load(tmp_path / "1.npz") as expected, np.load(tmp_path / "2.npz") as found:
        for name in expected.files:
            np.testing.assert_allclose(found[name], expected[name], rtol=2e-6, atol=1e-5)
