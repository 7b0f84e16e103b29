"""Rankers trained on a sample of the negatives are calibrated on all impressions."""

import numpy as np
import pytest

from tfrs_pretrain.ranking.run import train_arm

RATE = 0.1


@pytest.fixture
def sampled(drawn, with_split):
    """The planted dataset with a tenth of the training negatives."""
    random = np.random.default_rng(6)
    columns = {name: np.asarray(values) for name, values in drawn(random, 16000).items()}
    retained = (columns["label"] == 1) | (random.random(16000) < RATE)
    return with_split("train", **{name: values[retained] for name, values in columns.items()})


@pytest.mark.slow
def test_served_probabilities_are_calibrated_for_all_impressions(sampled, config, tmp_path):
    """The ratio is predicted over observed positives of validation, which keeps all of its negatives."""
    ratios = {}
    split = sampled.info["splits"]["impressions/train"]
    for told in (False, True):
        split |= {"negative_rate": RATE, "label_rate": 0.8} if told else {}
        manifest = train_arm(config, sampled, "scratch", tmp_path / str(told), embeddings=None).to_json()
        ratios[told] = manifest["metrics"]["validation"]["calibration"]
    assert ratios[True] == pytest.approx(1.0, abs=0.1)
    assert ratios[False] > 1.5
