"""One device needs no replicas; equal seeds give equal numbers."""

import random

import keras
import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.training.strategy import build_strategy, set_seeds


def test_one_device_uses_the_default_strategy():
    assert build_strategy(TrainingConfig()).num_replicas_in_sync == 1


def draws(seed):
    set_seeds(seed, deterministic=False)
    dense = keras.layers.Dense(1)(tf.ones([1, 3]))
    tensors = tf.random.uniform([]), dense[0, 0], keras.random.uniform([])
    return random.random(), np.random.rand(), *map(float, tensors)


def test_seeds_reach_every_generator():
    assert draws(3) == draws(3)
    assert all(a != b for a, b in zip(draws(3), draws(4), strict=True))
