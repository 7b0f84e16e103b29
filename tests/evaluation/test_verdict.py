"""A difference is better or worse only if every interval excludes 0."""

import pytest

from tfrs_pretrain.evaluation.verdict import BETTER, PRINTED_AS_ZERO, SAME, UNDEFINED, WORSE, verdict


@pytest.mark.parametrize(("metric", "value", "intervals", "expected"), [
    ("auc", 0.01, [(0.001, 0.02)], BETTER),
    ("auc", -0.01, [(-0.02, -0.001)], WORSE),
    ("log_loss", 0.01, [(0.001, 0.02)], WORSE),
    ("log_loss", -0.01, [(-0.02, -0.001), (-0.03, -0.002)], BETTER),
    ("auc", 0.01, [(0.001, 0.02), (-0.001, 0.03)], SAME),  # users agree, seeds do not
    ("auc", 0.01, [(-0.001, 0.02), (0.001, 0.03)], SAME),
    ("auc", 2e-4, [(4e-5, 4e-4)], SAME),  # rounds to 0.0000
    ("auc", 2e-4, [(6e-5, 4e-4)], BETTER),
    ("auc", 0.0, [(0.0, 0.0)], SAME),
    ("auc", 0.01, [], UNDEFINED),
    ("auc", None, [(0.1, 0.2)], UNDEFINED),
])
def test_verdict(metric, value, intervals, expected):
    assert verdict(metric, value, intervals) == expected


@pytest.mark.parametrize(("low", "high", "expected"), [
    (PRINTED_AS_ZERO, 1.0, BETTER), (PRINTED_AS_ZERO - 1e-9, 1.0, SAME), (-1.0, -PRINTED_AS_ZERO, WORSE),
    (-1.0, -PRINTED_AS_ZERO + 1e-9, SAME)])
def test_an_end_counts_from_the_value_that_prints_as_one(low, high, expected):
    assert verdict("auc", (low + high) / 2, [(low, high)]) == expected
