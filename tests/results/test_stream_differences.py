"""Differences of a stream on made-up scores: by window, over windows, by slice, and impressions to a target."""

import math

import numpy as np
import pytest
from scipy import stats

from tfrs_pretrain.evaluation.clustered import clustered_error
from tfrs_pretrain.evaluation.multiple_testing import holm
from tfrs_pretrain.evaluation.series import SeriesMean
from tfrs_pretrain.evaluation.slices import Slicing
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.log_loss import log_loss, negative_log_likelihoods
from tfrs_pretrain.results.stream_differences import overall, slice_differences, window_difference, with_verdicts
from tfrs_pretrain.results.stream_scores import JudgedWindow
from tfrs_pretrain.results.stream_targets import share_needed, targets

SEEDS = [3, 5, 8]


def made_window(number, gain, n=600):
    """Return a window in which arm "ours" knows the taste of a user better by ``gain``."""
    random = np.random.default_rng(number)
    users = random.integers(0, 50, n)
    taste = random.normal(size=50)[users] + random.normal(size=n)
    labels = (random.random(n) < 1 / (1 + np.exp(-taste))).astype(np.float32)
    scores = {arm: {seed: (1 / (1 + np.exp(-taste * known - random.normal(size=n)))).astype(np.float32)
                    for seed in SEEDS} for arm, known in (("base", 0.5), ("ours", 0.5 + gain))}
    return JudgedWindow(labels, users, None, scores, [Slicing("half", ("first", "second", "none"),
                                                              (np.arange(n) >= n // 3).astype(int))])


def test_a_difference_combines_users_and_seeds():
    window = made_window(1, 0.3)
    found = window_difference(window, "log_loss", "ours", "base", SEEDS)
    labels, ours, base = window.labels, window.scores["ours"], window.scores["base"]
    by_seed = [log_loss(labels, ours[seed]) - log_loss(labels, base[seed]) for seed in SEEDS]
    assert found["by_seed"] == pytest.approx(by_seed, rel=1e-5)
    assert found["value"] == pytest.approx(np.mean(by_seed), rel=1e-5)
    over_seeds = stats.sem(by_seed)
    assert found["seeds"] == pytest.approx(stats.t.interval(0.95, 2, np.mean(by_seed), over_seeds), rel=1e-4)
    losses = np.mean([negative_log_likelihoods(labels, ours[seed]) - negative_log_likelihoods(labels, base[seed])
                      for seed in SEEDS], axis=0)
    sums = [((losses - losses.mean()) / len(losses))[window.users == user].sum() for user in np.unique(window.users)]
    over_users = math.sqrt(len(sums) / (len(sums) - 1) * sum(value**2 for value in sums))
    mean = np.mean(by_seed)
    assert found["users"] == pytest.approx(stats.t.interval(0.95, len(sums) - 1, mean, over_users), rel=1e-4)
    variance = over_users**2 + over_seeds**2
    degrees = math.floor(variance**2 / (over_users**4 / (len(sums) - 1) + over_seeds**4 / 2))
    assert found["both"] == pytest.approx(stats.t.interval(0.95, degrees, mean, math.sqrt(variance)), rel=1e-4)
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(mean) / math.sqrt(variance), degrees), rel=1e-3)


def test_a_window_with_one_label_has_no_auc():
    window = made_window(1, 0.3)
    one = JudgedWindow(np.ones(600, np.float32), window.users, None, window.scores, ())
    assert set(window_difference(one, "auc", "ours", "base", SEEDS).values()) == {None}
    assert overall([window_difference(one, "auc", "ours", "base", SEEDS)] * 3, "auc", SEEDS) is None


@pytest.mark.parametrize("metric", ["auc", "log_loss"])
def test_both_tests_over_all_windows_must_exclude_chance(metric):
    windows = [window_difference(made_window(number, 0.5), metric, "ours", "base", SEEDS) for number in range(8)]
    found = overall(windows, metric, SEEDS)
    values = [window["value"] for window in windows]
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["by_seed"] == pytest.approx(np.mean([window["by_seed"] for window in windows], axis=0).tolist())
    assert found["windows"]["p"] == SeriesMean.of(values).p
    assert found["seeds"]["p"] == pytest.approx(stats.ttest_1samp(found["by_seed"], 0).pvalue, rel=1e-6)
    assert found["p"] == max(found["windows"]["p"], found["seeds"]["p"])
    assert found["least"] == (min(values) if metric == "auc" else max(values))
    sign = 1 if metric == "auc" else -1
    corrected = holm([window["p"] for window in windows])
    assert found["better_windows"] == sum(p <= 0.05 and sign * value > 0
                                          for p, value in zip(corrected, values, strict=True)) > 0


def test_verdicts_are_corrected_for_the_number_of_arms():
    entries = {name: {"value": value, "p": p} for name, value, p in (
        ("a", 0.1, 0.02), ("b", 0.1, 0.03), ("c", -0.1, 0.001), ("d", 0.1, None))} | {"e": None}
    found = with_verdicts("auc", entries)
    assert {name: entry and (entry["p_corrected"], entry["verdict"]) for name, entry in found.items()} == {
        "a": (pytest.approx(0.04), "better"), "b": (pytest.approx(0.04), "better"),
        "c": (pytest.approx(0.003), "worse"), "d": (None, "undefined"), "e": None}
    assert with_verdicts("log_loss", {"c": entries["c"]})["c"]["verdict"] == "better"
    many = with_verdicts("auc", {str(number): {"value": 0.1, "p": 0.02} for number in range(3)})
    assert {entry["verdict"] for entry in many.values()} == {"no measurable difference"}


def test_slices_are_weighted_by_impressions():
    windows = [made_window(number, 0.3, n) for number, n in ((1, 600), (2, 300))]
    [first, second] = slice_differences(windows, "auc", "ours", "base", SEEDS)["half"]
    assert (first["impressions"], second["impressions"]) == (300, 600)

    def difference(window, inside):
        return np.mean([auc(window.labels[inside], window.scores["ours"][seed][inside])
                        - auc(window.labels[inside], window.scores["base"][seed][inside]) for seed in SEEDS])

    expected = [difference(window, slice(0, len(window.labels) // 3)) for window in windows]
    assert first["value"] == pytest.approx((200 * expected[0] + 100 * expected[1]) / 300)
    assert clustered_error(np.zeros(2), np.arange(2)) == 0


def test_the_impressions_to_the_best_of_the_baseline():
    baseline = [(100, 0.6), (200, 0.7), (300, 0.69)]
    assert share_needed([(100, 0.5), (200, 0.69), (300, 0.7)], baseline) == 1.5
    assert share_needed([(100, 0.8)], baseline) == 0.5
    assert share_needed([(100, 0.1)], baseline) == math.inf
    assert share_needed([], baseline) is None
    fast, never = [(50, 0.7)], [(50, 0.1)]
    found = targets({1: [fast, fast, never], 2: [fast, never, never], 9: [fast] * 3},
                    {1: [baseline] * 3, 2: [baseline] * 3})
    assert found == {"reached": 0.5, "median": None, "by_seed": [0.25, None], "by_window": [0.25, None, None]}
    assert targets({1: [fast, []]}, {1: [baseline, []]}) is None
