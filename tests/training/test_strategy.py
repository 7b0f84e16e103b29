"""Strategies by name, the chief, and seeds."""

import os
import random
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.strategy import (
    build_strategy,
    is_chief,
    report_lost_workers,
    set_seeds,
    total_over_workers,
)


def test_one_device_uses_the_default_strategy():
    assert build_strategy(TrainingConfig()).num_replicas_in_sync == 1
    assert build_strategy(TrainingConfig()) is tf.distribute.get_strategy()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps"}}',
                                  '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
                                  '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}'])
def test_multi_worker_without_a_cluster_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="multi_worker, but the environment variable TF_CONFIG is"):
        build_strategy(TrainingConfig(strategy="multi_worker"))


@pytest.mark.parametrize(("task", "index", "expected"), [
    ("", None, True), ("chief", 0, True), ("worker", 0, True), ("worker", 1, False), ("evaluator", 0, False)])
def test_only_the_first_worker_is_chief(task, index, expected):
    resolver = types.SimpleNamespace(task_type=task, task_id=index)
    assert is_chief(types.SimpleNamespace(cluster_resolver=resolver)) is expected
    assert is_chief(tf.distribute.get_strategy())


def test_a_single_process_is_its_own_total():
    assert total_over_workers(tf.distribute.get_strategy(), 3.5) == 3.5


def test_connection_errors_of_a_single_process_are_not_blamed_on_a_worker():
    with pytest.raises(tf.errors.UnavailableError), report_lost_workers(tf.distribute.get_strategy()):
        raise tf.errors.UnavailableError(None, None, "connection reset")


def test_determinism_excepts_scatters(monkeypatch):
    """Unless the user decides otherwise."""
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
    monkeypatch.setenv("TF_DISABLE_SCATTER_OP_DETERMINISM", "")
    monkeypatch.delenv("TF_DISABLE_SCATTER_OP_DETERMINISM")
    set_seeds(1, deterministic=True)
    assert os.environ["TF_DISABLE_SCATTER_OP_DETERMINISM"] == "1"
    os.environ["TF_DISABLE_SCATTER_OP_DETERMINISM"] = "0"
    set_seeds(1, deterministic=True)
    assert os.environ["TF_DISABLE_SCATTER_OP_DETERMINISM"] == "0"


def draws(seed):
    """One number of every random generator after seeding."""
    set_seeds(seed, deterministic=False)
    dense = tf.keras.layers.Dense(1)(tf.ones([1, 3]))
    tensors = tf.random.uniform([]), dense[0, 0], keras.random.uniform([])
    return random.random(), np.random.rand(), *map(float, tensors)


def test_seeds_reach_every_generator():
    assert draws(3) == draws(3)
    assert all(a != b for a, b in zip(draws(3), draws(4), strict=True))


def test_another_backend_of_keras_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(UserError, match="imported with the backend 'torch', expected 'tensorflow': set KERAS_BACKEND"):
        build_strategy(TrainingConfig())
