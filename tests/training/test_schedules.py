"""Schedules at literal steps."""

import pytest

import tfrs_pretrain  # noqa: F401  (selects Keras 2 for tf.keras before TensorFlow loads)

# isort: split
import tensorflow as tf

from tfrs_pretrain.training.schedules import make_schedule


def test_linear_falls_to_zero_and_stays():
    rate = make_schedule("linear", 0.4, steps=8)
    assert [round(float(rate(tf.constant(done, tf.int64))), 6) for done in (0, 2, 7, 8, 9)] == [0.4, 0.3, 0.05, 0, 0]


def test_constant_stays():
    rate = make_schedule("constant", 0.4, steps=8)
    assert float(rate(tf.constant(7, tf.int64))) == pytest.approx(0.4)


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown learning rate schedule 'cosine'"):
        make_schedule("cosine", 0.4, steps=8)
