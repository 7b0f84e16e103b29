"""Learning-rate schedules and update rules of an arm apply to its tables and its network."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import ArmConfig
from tfrs_pretrain.embeddings.adam import LazyAdam
from tfrs_pretrain.embeddings.regularization import IntervalDecay, L2Regularized
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.learning.learning_rates import make_rate, rate_at
from tfrs_pretrain.ranking.learning.losses import MAIN_LABEL_LOSS

ARM = {"schedule": "linear", "warmup_steps": 2, "learning_rate": 0.4, "table_learning_rate": 0.8}
# Two warm-up steps with (step + 1) / 3 of the rate, then a linear decay to 0 after step 10.
SHARES = {0: 1 / 3, 1: 2 / 3, 2: 1.0, 4: 0.75, 9: 0.125}


@pytest.fixture
def batch():
    random = np.random.default_rng(5)
    columns = {name: random.integers(0, most, 32) for name, most in (("user", 152), ("item", 253), ("place", 3))}
    return columns | {"price": np.zeros(32, np.float32), "label": random.integers(0, 2, 32).astype(np.float32)}


@pytest.mark.parametrize("step", list(SHARES))
def test_tables_and_network_follow_one_schedule(step, planted, config, batch):
    """The first step of Adagrad has the size of the learning rate; Keras reports the rate of its Adam."""
    ranking = config.ranking.model_copy(update={"table_optimizer": "adagrad"})
    learner = build_learner(ranking, planted.dataset, ArmConfig(**ARM), None, hidden=(4,), seed=1, privileged=False,
                            steps=10)
    learner.optimizer.iterations.assign(step)
    assert float(learner.optimizer.learning_rate) == pytest.approx(0.4 * SHARES[step], rel=1e-6)
    before = learner.ranker.tables["item"].numpy()
    tf.function(learner.train_step, autograph=False)(batch, lambda logits: MAIN_LABEL_LOSS(batch, logits))
    moved = np.abs(learner.ranker.tables["item"].numpy() - before)[np.unique(batch["item"])]
    np.testing.assert_allclose(moved[moved > 0], 0.8 * SHARES[step], rtol=1e-2)
    assert (moved > 0).mean() > 0.5


def test_a_warm_up_that_takes_the_whole_run_is_refused(planted, config):
    with pytest.raises(UserError, match="warmup_steps is 2, but the run has only 2 steps"):
        build_learner(config.ranking, planted.dataset, ArmConfig(**ARM), None, hidden=(4,), seed=1, privileged=False,
                      steps=2)


@pytest.mark.parametrize(("arm", "rule"), [
    ({}, LazyAdam()), ({"embedding_l2": 0.1}, L2Regularized(LazyAdam(), 0.1)),
    ({"interval_decay": 0.2}, IntervalDecay(LazyAdam(), 0.2))])
def test_every_table_has_the_arms_update_rule(arm, rule, planted, config):
    learner = build_learner(config.ranking, planted.dataset, ArmConfig(**arm), None, hidden=(4,), seed=1,
                            privileged=False)
    assert {table.optimizer for table in learner.ranker.tables.values()} == {rule}


def test_a_constant_rate_is_a_number_and_linear_decay_needs_no_warm_up(config):
    assert make_rate(config.ranking, 0.3, 10) == 0.3
    falling = make_rate(config.ranking.model_copy(update={"schedule": "linear"}), 0.4, 10)
    rates = [float(rate_at(falling, tf.constant(step, tf.int64))) for step in (0, 5, 10)]
    assert rates == pytest.approx([0.4, 0.2, 0.0])
    assert rate_at(0.3, tf.constant(5)) == 0.3
