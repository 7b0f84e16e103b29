"""Loss scaling in float16: row gradients are unscaled exactly, and all replicas agree on a step to skip."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.learning.loss_scale import all_finite, loss_scale, unscale

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
def learner(planted, config):
    ranking = RankingConfig.model_validate(config.ranking.model_dump() | {"mixed_precision": "mixed_float16"})
    return build_learner(ranking, planted.dataset, ranking.arms["scratch"], None, hidden=(4,), seed=1,
                         privileged=False)


def batch():
    random = np.random.default_rng(5)
    columns = {name: random.integers(0, most, 32) for name, most in (("user", 152), ("item", 253), ("place", 3))}
    return columns | {"price": np.full(32, 0.5, np.float32), "label": random.integers(0, 2, 32).astype(np.float32)}


def test_the_scale_is_not_part_of_the_update(learner):
    """One step with another scale, a power of two, has the same effect on the tables."""
    weights, rows = learner.ranker.network.get_weights(), {}
    before = {name: table.numpy() for name, table in learner.ranker.tables.items()}
    for scale in (2.0**6, 2.0**8):
        for name, table in learner.ranker.tables.items():
            table.reset(before[name])
        learner.ranker.network.set_weights(weights)
        learner.optimizer.dynamic_scale.assign(scale)
        label_step(learner)(batch())
        rows[scale] = {name: table.numpy() for name, table in learner.ranker.tables.items()}
    for name, values in rows[2.0**6].items():
        np.testing.assert_allclose(rows[2.0**8][name], values, atol=2e-4)
        assert np.abs(values - before[name]).max() > 1e-3


def test_gradients_of_rows_are_divided_by_the_scale_and_those_of_weights_are_not():
    rows, weights, finite = unscale({"user": tf.constant([8.0, -4.0])}, [tf.constant([2.0])], tf.constant(4.0))
    np.testing.assert_array_equal(rows["user"], [2.0, -1.0])
    np.testing.assert_array_equal(weights[0], [2.0])
    assert bool(finite)


@pytest.mark.parametrize("bad", [NAN, INFINITY, -INFINITY])
def test_one_bad_row_gradient_makes_the_weights_skip_too(bad):
    _, weights, finite = unscale({"user": tf.constant([1.0, bad])}, [tf.constant([2.0])], tf.constant(4.0))
    assert not bool(finite)
    assert np.isnan(weights[0]).all()
    assert not bool(all_finite([tf.constant([bad]), tf.constant([1.0])]))


def test_without_loss_scaling_gradients_pass_unchanged(planted, config):
    plain = build_learner(config.ranking, planted.dataset, config.ranking.arms["scratch"], None, hidden=(4,), seed=1,
                          privileged=False)
    assert loss_scale(plain.optimizer) is None
    rows, weights, finite = unscale({"user": tf.constant([NAN])}, [tf.constant([2.0])], None)
    assert finite is None
    assert np.isnan(rows["user"]).all()
    np.testing.assert_array_equal(weights[0], [2.0])
