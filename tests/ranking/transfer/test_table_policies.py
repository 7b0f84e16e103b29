"""Frozen, unfreezing, dropped-out and doubled tables in a training step."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
from learning import batches, tables

from tfrs_pretrain.config import ArmConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.model.dropout import RowDropout
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.transfer.initial_tables import with_fresh_tables

ROWS = tf.ones([400, 6])


def train(learner, count):
    """Tables before the first step and after each step."""
    step = tf.function(label_step(learner), autograph=False)
    states = [tables(learner)]
    for batch in batches(count):
        step(batch)
        states.append(tables(learner))
    return states


def test_a_frozen_table_is_bit_identical_and_has_no_optimizer_state(build_arm):
    learner = build_arm(tables={"user": "frozen"})
    states = train(learner, 6)
    np.testing.assert_array_equal(states[0]["user"], states[-1]["user"])
    assert not np.array_equal(states[0]["item"], states[-1]["item"])
    user = learner.ranker.tables["user"]
    assert (dict(user.slots), int(user.step)) == ({}, 0)
    assert set(learner.ranker.tables["item"].slots) == {"mean", "square"}


def test_a_frozen_table_still_trains_the_network(build_arm):
    frozen, scratch = build_arm(transfer="frozen"), build_arm()
    before = frozen.ranker.network.get_weights()
    step = tf.function(label_step(frozen), autograph=False)
    for batch in batches(3):
        step(batch)
    after = frozen.ranker.network.get_weights()
    assert all(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert not np.array_equal(frozen.ranker.score(batch), scratch.ranker.score(batch))


def test_an_unfreezing_table_is_trained_from_its_step_on(build_arm):
    states = train(build_arm(transfer={"kind": "frozen_then_trainable", "trainable_from_step": 3}), 5)
    moved = [not np.array_equal(one["user"], other["user"]) for one, other in itertools.pairwise(states)]
    assert moved == [False, False, False, True, True]


def test_fresh_rows_are_trained_beside_pretrained_ones(build_arm, planted):
    learner = build_arm(transfer={"kind": "frozen", "fresh_dim": 3})
    assert [row.name for row in learner.ranker.inputs.rows] == ["user", "item", "place", "fresh_user", "fresh_item"]
    states = train(learner, 4)
    assert states[0]["fresh_item"].shape == (253, 3)
    assert states[0]["fresh_item"].std() == pytest.approx(0.05, rel=0.1)
    np.testing.assert_array_equal(states[0]["item"][3:], planted.items[3:])
    np.testing.assert_array_equal(states[0]["item"], states[-1]["item"])
    touched = {row for batch in batches(4) for row in batch["item"]}
    changed = np.flatnonzero((states[0]["fresh_item"] != states[-1]["fresh_item"]).any(axis=1))
    assert set(changed) == touched


def test_dropout_drops_a_share_and_scales_the_rest():
    for whole, rows in ((False, ROWS), (True, ROWS), (False, tf.ones([40, 10, 6]))):
        shown = RowDropout(0.4, whole, seed=5)(rows, tf.constant(7, tf.int64)).numpy()
        assert set(np.unique(shown)) == {np.float32(0), np.float32(1) / np.float32(0.6)}
        assert (shown == 0).mean() == pytest.approx(0.4, abs=0.06)
        assert np.all((shown == 0).all(axis=-1) | (shown > 0).all(axis=-1)) == whole


def test_dropout_depends_only_on_seed_step_and_position():
    dropout = RowDropout(0.5, whole_rows=False, seed=5)
    first = dropout(ROWS, tf.constant(7, tf.int64))
    np.testing.assert_array_equal(first, dropout(ROWS, tf.constant(7, tf.int64)))
    assert not np.array_equal(first, dropout(ROWS, tf.constant(8, tf.int64)))
    assert not np.array_equal(first, RowDropout(0.5, whole_rows=False, seed=6)(ROWS, tf.constant(7, tf.int64)))


def test_dropout_applies_only_to_training_and_its_own_table(build_arm):
    plain, dropping = build_arm(transfer="frozen"), build_arm(transfer={"kind": "frozen", "pretrained_dropout": 0.5})
    batch = next(batches(1))
    np.testing.assert_array_equal(plain.ranker.score(batch), dropping.ranker.score(batch))
    rows = dropping.ranker.gather(batch)
    shown = dropping._with_dropout(rows)
    np.testing.assert_array_equal(shown["place"], rows["place"])
    hidden = shown["user"].numpy() == 0
    assert 0.4 < hidden.mean() < 0.6
    np.testing.assert_allclose(shown["user"].numpy()[~hidden], 2 * rows["user"].numpy()[~hidden])


def test_a_dropped_row_has_no_gradient(build_arm):
    learner = build_arm(transfer={"kind": "warm_start", "pretrained_dropout": 0.9, "pretrained_dropout_of": "rows"})
    batch = next(batches(1))
    shown = learner._with_dropout(learner.ranker.gather(batch))["user"].numpy()
    states = train(learner, 1)
    moved = (states[0]["user"] != states[1]["user"]).any(axis=1)
    seen = {row for row, values in zip(batch["user"], shown, strict=True) if values.any()}
    assert set(np.flatnonzero(moved)) == seen


def test_a_feature_with_the_name_of_a_fresh_table_is_refused(planted, config):
    inputs = Inputs.of(planted.dataset, config.ranking, privileged=False)
    taken = dataclasses.replace(inputs, rows=(*inputs.rows, RowInput.single("fresh_user")))
    with pytest.raises(UserError, match="feature 'fresh_user' has the name of the table that fresh_dim adds"):
        with_fresh_tables(taken, ArmConfig(transfer={"kind": "frozen", "fresh_dim": 2}))
