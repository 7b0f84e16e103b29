"""Schedules at literal steps."""

import pytest
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.schedules import make_schedule


def test_linear_falls_to_zero_and_stays():
    rate = make_schedule("linear", 0.4, steps=8)
    assert [round(float(rate(tf.constant(step, tf.int64))), 6) for step in (0, 2, 7, 8, 9)] == [0.4, 0.3, 0.05, 0, 0]


def test_constant_stays():
    rate = make_schedule("constant", 0.4, steps=8)
    assert float(rate(tf.constant(7, tf.int64))) == pytest.approx(0.4)


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown learning rate schedule 'step'"):
        make_schedule("step", 0.4, steps=8)


def test_cosine_falls_to_zero_and_stays():
    rate = make_schedule("cosine", 0.4, steps=8)
    got = [float(rate(tf.constant(step, tf.int64))) for step in (0, 2, 4, 8, 9)]
    assert got == pytest.approx([0.4, 0.2 + 0.2 * 2**-0.5, 0.2, 0, 0], abs=1e-7)


@pytest.mark.parametrize(("name", "expected"), [
    ("constant", [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4]), ("linear", [0.1, 0.2, 0.3, 0.4, 0.3, 0.1, 0]),
    ("cosine", [0.1, 0.2, 0.3, 0.4, 0.2 + 0.2 * 2**-0.5, 0.2 - 0.2 * 2**-0.5, 0])])
def test_warm_up_grows_first(name, expected):
    rate = make_schedule(name, 0.4, steps=7, warmup_steps=3)
    got = [float(rate(tf.constant(step, tf.int64))) for step in (0, 1, 2, 3, 4, 6, 7)]
    assert got == pytest.approx(expected, abs=1e-7)


def test_warm_up_of_the_whole_run_is_refused():
    with pytest.raises(UserError, match="warmup_steps is 7, but the run has only 7"):
        make_schedule("linear", 0.4, steps=7, warmup_steps=7)
