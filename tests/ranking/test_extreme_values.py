"""A number that float32 arithmetic cannot carry is named with its feature."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.ranker_input import NumericStatistics
from tfrs_pretrain.ranking.extreme_values import check_scores, describe_extreme_value

RANKER = types.SimpleNamespace(inputs=types.SimpleNamespace(numeric={
    "price": NumericStatistics(mean=1.0, std=2.0), "dwell": NumericStatistics(mean=0.0, std=0.0),
    "count": NumericStatistics(mean=1.0, std=1.0, log1p=True)}))


def batch(**changes):
    columns = {name: np.array([1.0, 2.0, np.nan], np.float32) for name in ("price", "dwell", "count")}
    for name, value in changes.items():
        columns[name][1] = value
    return columns


@pytest.mark.parametrize(("changes", "words"), [
    ({"price": 3e38}, "feature 'price' has the value 3e+38, 1.5e+38 standard deviations from its mean in training"),
    ({"price": -3e38}, "feature 'price' has the value -3e+38, 1.5e+38 standard"),
    ({"price": 1e6, "dwell": 1e5}, "feature 'price' has the value 1e+06, 5e+05 standard"),
    ({"dwell": 1e9}, "feature 'dwell' has the value 1e+09, 1e+09 standard"),
])
def test_the_most_extreme_value_is_named(changes, words):
    assert describe_extreme_value(RANKER, batch(**changes)).startswith(words)


@pytest.mark.parametrize("changes", [{}, {"price": 10_000}, {"count": 3e38}])
def test_ordinary_values_are_not(changes):
    """The logarithm of 3e38 is 88.6."""
    assert describe_extreme_value(RANKER, batch(**changes)) is None


def test_scores_that_are_not_finite_are_refused():
    check_scores(RANKER, batch(price=3e38), tf.constant([[0.5], [1.0], [0.0]]), "impressions/test")
    for value in (np.nan, np.inf):
        scores = tf.constant([[0.5], [value], [0.0]])
        with pytest.raises(UserError, match="scores for impressions/test are not finite: feature 'price'"):
            check_scores(RANKER, batch(price=3e38), scores, "impressions/test")
        with pytest.raises(UserError, match="not finite: its weights have diverged; lower the learning rate"):
            check_scores(RANKER, batch(), scores, "impressions/test")
