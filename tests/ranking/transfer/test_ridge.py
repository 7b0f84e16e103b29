"""Ridge regression with a penalty chosen by cross-validation, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import r2_score

from tfrs_pretrain.ranking.transfer.ridge import FOLDS, PENALTIES, fit_ridge


def planted(noise, rows=400, seed=0):
    """Features with an offset, and three targets that depend on them and on noise."""
    random = np.random.default_rng(seed)
    features = random.normal(2, 1, (rows, 6)) * [1, 5, 1, 0.1, 1, 1]
    weights = random.normal(size=(6, 3))
    return features, 7 + features @ weights + noise * random.normal(size=(rows, 3))


@pytest.mark.parametrize("noise", [0.0, 1.0, 30.0])
def test_weights_and_heldout_r2_equal_scikit_learns(noise):
    features, targets = planted(noise)
    fold = np.random.default_rng(3).permutation(len(features)) % FOLDS
    scores = {}
    for penalty in PENALTIES:
        predicted, means = np.zeros_like(targets), np.zeros_like(targets)
        for number in range(FOLDS):
            held = fold == number
            predicted[held] = SklearnRidge(alpha=penalty).fit(features[~held], targets[~held]).predict(features[held])
            means[held] = targets[~held].mean(axis=0)
        scores[penalty] = 1 - ((targets - predicted) ** 2).sum() / ((targets - means) ** 2).sum()
    best = max(scores, key=scores.__getitem__)
    fit = fit_ridge(features, targets, seed=3)
    assert (fit.penalty, fit.r2) == (best, pytest.approx(scores[best], abs=1e-9))
    reference = SklearnRidge(alpha=best).fit(features, targets)
    np.testing.assert_allclose(fit.weights, reference.coef_.T, atol=1e-9)
    np.testing.assert_allclose(fit.predict(features), reference.predict(features), atol=1e-8)
    np.testing.assert_allclose(fit.predict(fit.feature_means[None]), targets.mean(axis=0)[None], atol=1e-9)


def test_r2_is_high_for_a_linear_target_and_not_positive_for_noise():
    features, targets = planted(0.5)
    fit = fit_ridge(features, targets)
    assert 0.9 < fit.r2 < r2_score(targets, fit.predict(features), multioutput="variance_weighted") < 1
    random = np.random.default_rng(1)
    assert fit_ridge(random.normal(size=(200, 40)), random.normal(size=(200, 4))).r2 < 0.01


def test_constant_targets_and_repeated_columns_are_solvable():
    features = np.repeat(np.arange(10.0)[:, None], 3, axis=1)
    fit = fit_ridge(features, np.full((10, 2), 4.0))
    assert fit.r2 == 0
    np.testing.assert_allclose(fit.predict(features), 4.0)
    fit = fit_ridge(features, features[:, :1])
    assert fit.r2 > 0.9
    np.testing.assert_allclose(fit.weights, fit.weights[0, 0])
