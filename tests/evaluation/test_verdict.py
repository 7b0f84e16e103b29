"""A difference is better or worse only if every interval excludes 0."""

import pytest

from tfrs_pretrain.evaluation.verdict import BETTER, SAME, UNDEFINED, WORSE, verdict


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
