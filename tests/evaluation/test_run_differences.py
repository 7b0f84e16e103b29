"""What a run's results say about its arms: the comparisons of the report, from stored predictions."""

import json

import numpy as np
import pytest
from planted_predictions import impressions, write_ranker
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.results import _differences

ARMS = {"scratch": {"transfer": "scratch"}, "warm": {"transfer": "warm_start"},
        "distilled": {"transfer": "warm_start", "distillation": {"weight": 0.3}}}
CONFIG = {"ranking": {"arms": ARMS}, "export": {"arm": "warm"}}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    columns, logits = impressions()
    for number, arm in enumerate(ARMS):
        noise = np.random.default_rng(number).normal(0, 1.5 - 0.7 * number, len(logits))
        write_ranker(folder / arm, columns, 1 / (1 + np.exp(-(logits + noise))), arm=arm)
    return columns, _differences(CONFIG, {arm: {} for arm in ARMS}, folder)


def test_every_arm_against_the_baseline_and_distilled_ones_against_their_twins(found):
    _, differences = found
    assert [(entry["arm"], entry["against"]) for entry in differences] == [
        ("warm", "scratch"), ("distilled", "scratch"), ("distilled", "warm")]
    assert json.loads(json.dumps(differences, allow_nan=False)) == differences
    for entry in differences:
        assert entry["auc"]["low"] < entry["auc"]["value"] < entry["auc"]["high"]
    by_pair = {(entry["arm"], entry["against"]): entry for entry in differences}
    assert by_pair["distilled", "scratch"]["auc"]["value"] == pytest.approx(
        by_pair["distilled", "warm"]["auc"]["value"] + by_pair["warm", "scratch"]["auc"]["value"])


def test_slices_are_those_of_item_frequency(found):
    columns, differences = found
    slices = {entry["slice"]: entry["auc"] for entry in differences[0]["slices"]}
    assert list(slices) == ["0", "1-4", "5-19", "20-99", "100+"]
    rows = columns["item_count"] >= 100
    logits = impressions()[1]
    one, other = (roc_auc_score(columns["label"][rows], (logits + np.random.default_rng(number).normal(
        0, 1.5 - 0.7 * number, len(logits)))[rows]) for number in (1, 0))
    assert slices["100+"]["value"] == pytest.approx(one - other, abs=1e-6)


def test_one_arm_has_nothing_to_compare_with(tmp_path):
    config = {"ranking": {"arms": {"scratch": ARMS["scratch"]}}, "export": {"arm": "scratch"}}
    assert _differences(config, {"scratch": {}}, tmp_path) == []
