"""The paired difference and its standard errors against plain numpy."""

import numpy as np
import pytest
from evaluation.planted_predictions import impressions, write_ranker

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.tuning.decision import RESAMPLING, Difference, paired_difference


def log_losses(labels, scores):
    return -(labels * np.log(scores) + (1 - labels) * np.log(1 - scores))


@pytest.fixture
def rankers(tmp_path):
    """Three seeds of a default and of a better candidate: folders, per-impression gains [seeds, n], users [n]."""
    columns, logits = impressions()
    random, gains, folders = np.random.default_rng(3), [], {"candidate": [], "default": []}
    for seed in range(3):
        losses = {}
        for side, noise in (("candidate", 0.3), ("default", 0.8)):
            scores = (1 / (1 + np.exp(-logits - random.normal(0, noise, len(logits))))).astype(np.float32)
            folders[side].append(write_ranker(tmp_path / f"{side}{seed}", columns, scores, splits=("validation",)))
            losses[side] = log_losses(columns["label"], scores.astype(float))
        gains.append(losses["default"] - losses["candidate"])
    return folders["candidate"], folders["default"], np.array(gains), np.array(columns["user"])


def test_the_gain_and_both_standard_errors_are_those_of_numpy(rankers):
    candidate, default, gains, users = rankers
    found = paired_difference(candidate, default, "log_loss")
    by_seed = gains.mean(axis=1)
    assert found.gain == pytest.approx(by_seed.mean(), rel=1e-5)
    assert found.over_seeds == pytest.approx(by_seed.std(ddof=1) / np.sqrt(3), rel=1e-5)
    totals, counts = (np.bincount(users, weights) for weights in (gains.mean(axis=0), np.ones(len(users))))
    numbers = np.unique(users, return_index=True)
    first_seen = numbers[0][np.argsort(numbers[1])]
    replicates = [(totals[first_seen] * draw).sum() / (counts[first_seen] * draw).sum()
                  for draw in RESAMPLING.draws(len(first_seen))]
    assert found.over_users == pytest.approx(np.std(replicates, ddof=1), rel=1e-4)
    assert found.standard_error == pytest.approx(np.sqrt(found.over_seeds**2 + found.over_users**2))
    assert found.is_better
    reverse = paired_difference(default, candidate, "log_loss")
    assert reverse.gain == pytest.approx(-found.gain)
    assert not reverse.is_better


def test_a_higher_auc_is_a_gain(rankers):
    candidate, default, _, _ = rankers
    assert paired_difference(candidate, default, "auc").gain > 0


def test_a_gain_must_exceed_the_standard_error():
    assert not Difference(0.05, 0.03, 0.04).is_better
    assert Difference(0.0501, 0.03, 0.04).is_better
    assert not Difference(0.0, 0.0, 0.0).is_better


def test_predictions_of_other_impressions_are_refused(rankers, tmp_path):
    candidate, default, _, _ = rankers
    columns, logits = impressions(seed=5)
    other = write_ranker(tmp_path / "other", columns, 1 / (1 + np.exp(-logits)), splits=("validation",))
    with pytest.raises(UserError, match="different impressions"):
        paired_difference([*candidate[:2], other], default, "log_loss")
