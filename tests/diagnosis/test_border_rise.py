"""Verdicts on planted loss curves."""

import numpy as np
import pytest

from tfrs_pretrain.diagnosis.verdict import (
    NONE,
    SHARP,
    STEADY,
    BorderRise,
    bootstrap_rise,
    classify,
    remaining_share,
)
from tfrs_pretrain.evaluation.bootstrap import Resampling

POINTS, DRAWS = 8, Resampling(200)


def losses(second_epoch, *, noise=0.02, impressions=4000, first_end=0.58):
    """float64 [16, n] whose mean falls in the first epoch and goes ``second_epoch`` above its end, and their users."""
    generator = np.random.default_rng(5)
    means = np.concatenate([np.linspace(0.65, first_end, POINTS), first_end + np.asarray(second_epoch)])
    own = generator.normal(0, 0.2, impressions)  # an impression is equally hard at every evaluation
    return means[:, None] + own + generator.normal(0, noise, (2 * POINTS, impressions)), np.arange(impressions) // 4


@pytest.mark.parametrize(("second_epoch", "verdict"), [
    ([0.03, 0.035, 0.04, 0.04, 0.04, 0.04, 0.04, 0.04], SHARP),
    ([0.03, 0.03, 0.02, 0.01, 0.01, 0.0, 0.0, 0.0], SHARP),  # recovers later
    (np.linspace(0.001, 0.03, POINTS), STEADY),
    ([0.0] * POINTS, NONE),
    (np.linspace(-0.002, -0.02, POINTS), NONE),
    ([0.0] * 6 + [0.02, 0.02], STEADY),
])
def test_the_shape_of_the_second_epoch_decides(second_epoch, verdict):
    found = classify(bootstrap_rise(*losses(second_epoch), POINTS, DRAWS), DRAWS)
    assert found.verdict == verdict
    assert found.confidence > 0.9


def test_a_rise_within_the_noise_has_low_confidence():
    # About half of the draws see a rise of more than half a percent, the others do not.
    noisy = losses([0.0029 + 0.0035] * POINTS, noise=2.0, impressions=400)
    found = classify(bootstrap_rise(*noisy, POINTS, DRAWS), DRAWS)
    assert found.confidence < 0.9


def test_rises_compare_means_over_a_quarter_of_an_epochs_evaluations():
    values, users = losses(np.linspace(0.01, 0.08, POINTS))
    found = bootstrap_rise(values, users, POINTS, DRAWS)
    means = values.mean(axis=1)
    before = (means[6] + means[7]) / 2
    assert found.before[0] == pytest.approx(before)
    assert found.border[0] == pytest.approx((means[8] + means[9]) / 2 - before)
    assert found.end[0] == pytest.approx((means[14] + means[15]) / 2 - before)
    assert len(found.border) == 1 + DRAWS.replicates


def test_replicates_are_means_over_whole_users_drawn_with_replacement():
    values, _ = losses(np.linspace(0.01, 0.08, POINTS), impressions=60)
    users = np.random.default_rng(1).integers(0, 9, 60)
    users[:9] = np.arange(9)
    found = bootstrap_rise(values, users, POINTS, Resampling(3, seed=4))
    generator = np.random.default_rng(4)
    for replicate in range(3):
        rows = np.concatenate([np.flatnonzero(users == user) for user in generator.integers(0, 9, 9)])
        means = values[:, rows].mean(axis=1)
        assert found.before[1 + replicate] == pytest.approx((means[6] + means[7]) / 2)
        assert found.border[1 + replicate] == pytest.approx((means[8] + means[9] - means[6] - means[7]) / 2)


def test_a_control_that_removes_most_of_the_rise_is_recognised():
    base, weak, strong = (bootstrap_rise(*losses([rise] * POINTS), POINTS, DRAWS) for rise in (0.04, 0.035, 0.004))
    share, certain = remaining_share(strong, base)
    assert share == pytest.approx(found_share(0.004), abs=0.06)
    assert certain == 1
    assert remaining_share(weak, base)[1] == 0


def found_share(rise):
    """The remaining share of the base's rise: the last evaluations of epoch 1 average half a step above its end."""
    step = (0.65 - 0.58) / (POINTS - 1) / 2
    return (rise - step) / (0.04 - step)


def test_one_epoch_has_no_border():
    with pytest.raises(ValueError, match="do not reach the end of epoch 2"):
        bootstrap_rise(np.zeros((12, 5)), np.arange(5), POINTS, DRAWS)


@pytest.mark.parametrize(("before", "border", "end", "last", "verdict"), [
    (0.6, 0.0031, 0.0062, 0.0, SHARP),   # half of the final rise is there at the border
    (0.6, 0.0031, 0.0063, 0.0, STEADY),  # just less than half
    (0.6, 0.0030, 0.0030, 0.0, NONE),    # 0.5 % of the loss is not yet material
    (0.6, 0.0030, 0.0031, 0.0, STEADY),
    (0.6, 0.0, 0.0, 0.0031, STEADY),     # a rise in a later epoch
    (0.6, -0.01, -0.02, -0.02, NONE),
])
def test_the_thresholds_of_the_verdict(before, border, end, last, verdict):
    rise = BorderRise(*(np.full(4, value) for value in (before, border, end, last)))
    found = classify(rise, Resampling(3))
    assert (found.verdict, found.confidence) == (verdict, 1.0)
    assert (found.before, found.border, found.end) == (before, border, end)


def test_the_confidence_is_the_share_of_replicates_with_the_same_verdict():
    border = np.array([0.01, 0.01, 0.01, 0.0, 0.01])
    rise = BorderRise(np.full(5, 0.6), border, border, border)
    assert classify(rise, Resampling(4)).confidence == 0.75


def test_the_interval_is_that_of_the_replicates_alone():
    borders = np.concatenate([[5.0], np.arange(1.0, 1000.0)])
    found = classify(BorderRise(np.ones(1000), borders, borders, borders), Resampling(999))
    assert (found.border, found.border_low, found.border_high) == pytest.approx((5.0, 25.0, 975.0))


def test_more_than_two_epochs_end_with_the_last_evaluations_of_the_run():
    values, users = losses(np.linspace(0.01, 0.08, POINTS))
    longer = np.concatenate([values, values[8:] + 0.1])
    found = bootstrap_rise(longer, users, POINTS, DRAWS)
    means = longer.mean(axis=1)
    before = (means[6] + means[7]) / 2
    assert found.end[0] == pytest.approx((means[14] + means[15]) / 2 - before)
    assert found.last[0] == pytest.approx((means[22] + means[23]) / 2 - before)
