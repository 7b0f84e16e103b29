"""Starts and learning rates of rows by their number of engagements."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from learning import batches, tables

from tfrs_pretrain.config import ArmConfig
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.transfer.evidence import evidence_scales, evidence_weights, shrunk_rows
from tfrs_pretrain.ranking.transfer.table_policies import table_policies
from tfrs_pretrain.vocabulary import Vocabulary


def vocabulary(*counts):
    return Vocabulary(pa.array(range(len(counts))), np.array(counts), 2)


def test_factors_fall_from_one_to_the_scale_and_shared_rows_have_the_scale():
    scales = evidence_scales(vocabulary(10**9, 30, 10, 1, 0), scale=0.1, evidence=10.0)
    np.testing.assert_allclose(scales, [0.1, 0.1, 0.1, 0.1 + 0.9 * 10 / 40, 0.55, 0.1 + 0.9 * 10 / 11, 1], rtol=1e-6)
    assert scales.dtype == np.float32


def test_at_zero_only_ids_without_engagements_differ():
    np.testing.assert_allclose(evidence_scales(vocabulary(500, 1, 0), scale=0.1, evidence=0.0), [0.1] * 4 + [1])


def test_rows_start_nearer_to_the_mean_the_fewer_engagements_they_have():
    weights = evidence_weights(vocabulary(30, 10, 0), evidence=10.0)
    np.testing.assert_allclose(weights, [0, 0, 0.75, 0.5, 0])
    rows = np.array([[99, 99], [99, 99], [1, 0], [0, 5], [99, 99]], np.float32)
    mean = np.array([0.75 * 1 / 1.25, 0.5 * 5 / 1.25])
    expected = np.array([mean, mean, mean + 0.75 * (rows[2] - mean), mean + 0.5 * (rows[3] - mean), mean])
    np.testing.assert_allclose(shrunk_rows(rows, weights), expected, rtol=1e-6)


def test_without_engagements_rows_remain():
    rows = np.ones((3, 2), np.float32)
    assert shrunk_rows(rows, evidence_weights(vocabulary(0), evidence=10.0)) is rows


def test_shrinkage_is_closer_to_the_true_rows_than_the_estimates():
    """With noise of 4 times the rows' variance in each of n observations, the weights n / (n + 4) are the best."""
    generator = np.random.default_rng(5)
    counts = generator.integers(1, 30, 4000)
    true = generator.normal(3.0, 1.0, (4000, 8))
    estimates = (true + generator.normal(0, 2.0, (4000, 8)) / np.sqrt(counts)[:, None]).astype(np.float32)
    errors = {k: np.square(shrunk_rows(estimates, counts / (counts + k)) - true).mean() for k in (0.0, 1.0, 4.0, 16.0)}
    assert min(errors, key=errors.get) == 4.0
    assert errors[4.0] < 0.75 * errors[0.0]


def test_policies_have_a_factor_for_each_row_of_pretrained_trainable_tables(planted):
    arm = ArmConfig(tables={"user": {"kind": "warm_start", "evidence": 50.0, "pretrained_learning_rate_scale": 0.2},
                            "item": {"kind": "warm_start", "evidence": None}})
    policies = table_policies(arm, planted.dataset, seed=1)
    counts = np.concatenate([[0, 0], np.arange(150, 0, -1)])  # two shared rows, then the users of the conftest
    assert policies["user"].learning_rate_scale == 1
    np.testing.assert_allclose(policies["user"].row_scales, np.where(counts, 0.2 + 0.8 * 50 / (counts + 50), 0.2),
                               rtol=1e-6)
    assert (policies["item"].learning_rate_scale, policies["item"].row_scales) == (0.3, None)


def test_a_step_moves_each_row_at_its_rate(build_arm):
    """Adam's first step is the learning rate times the sign of the gradient, whatever its size."""
    warm, plain = (build_arm(transfer={"kind": "warm_start", "pretrained_learning_rate_scale": scale,
                                       "evidence": evidence}) for scale, evidence in ((0.1, 40.0), (1.0, None)))
    counts = {"user": np.concatenate([[0] * 2, np.arange(150, 0, -1)]),
              "item": np.concatenate([[0] * 3, np.arange(250, 0, -1)])}
    batch = next(batches(1))
    moved = {}
    for name, learner in (("warm", warm), ("plain", plain)):
        before = tables(learner)
        tf.function(label_step(learner), autograph=False)(batch)
        moved[name] = {table: np.abs(rows - before[table]).max(axis=1) for table, rows in tables(learner).items()}
    for table, count in counts.items():
        touched = np.unique(batch[table])
        expected = np.where(count, 0.1 + 0.9 * 40 / (count + 40), 0.1)
        np.testing.assert_allclose(moved["warm"][table][touched] / moved["plain"][table][touched], expected[touched],
                                   rtol=2e-3)
        assert len(set(expected[touched])) > 20
    np.testing.assert_array_equal(moved["warm"]["place"], moved["plain"]["place"])


@pytest.mark.parametrize("value", [-1, "many"])
def test_evidence_is_a_number_of_engagements(value):
    with pytest.raises(ValueError, match="evidence"):
        ArmConfig(transfer={"kind": "warm_start", "evidence": value})
