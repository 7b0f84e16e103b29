"""Evaluation of predictions with weights of the impressions."""

import numpy as np
import pytest
from planted_predictions import ROWS, impressions, write_ranker
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.evaluate import evaluate
from tfrs_pretrain.evaluation.predictions import Predictions

FEW = Resampling(50)
NOTE = "impressions are weighted, except within requests (recall and NDCG)"


@pytest.fixture
def folders(tmp_path):
    """Rankers with weights, with weights of 1, and without any."""
    columns, logits = impressions()
    scores = 1 / (1 + np.exp(-logits))
    weights = np.random.default_rng(4).exponential(1.0, ROWS).astype(np.float32)
    added = {"weighted": {"weight": weights}, "ones": {"weight": np.ones(ROWS, np.float32)}, "none": {}}
    return {name: write_ranker(tmp_path / name, columns | more, scores) for name, more in added.items()}


def test_metrics_slices_and_intervals_use_the_weights(folders):
    weighted, plain = (evaluate(folders[name], resampling=FEW) for name in ("weighted", "none"))
    predictions = Predictions.open(folders["weighted"])
    new = predictions.slicing("users").positions(0)
    for part, rows in ((weighted.parts[0], np.arange(ROWS)),
                       (next(part for part in weighted.parts if part.part.slicing == "users"), new)):
        estimate = part.models["model"]["auc"]
        assert estimate["value"] == pytest.approx(roc_auc_score(
            predictions.labels[rows], predictions.scores[rows], sample_weight=predictions.weights[rows]), abs=1e-12)
        assert estimate["low"] < estimate["value"] < estimate["high"]
    ends = [evaluation.parts[0].models["model"]["auc"] for evaluation in (weighted, plain)]
    assert (ends[0]["low"], ends[0]["high"]) != (ends[1]["low"], ends[1]["high"])
    assert NOTE in weighted.notes
    assert NOTE not in plain.notes


def test_weights_of_1_change_no_bit(folders):
    ones, none = (evaluate(folders[name], resampling=FEW) for name in ("ones", "none"))
    assert ones.parts == none.parts
    assert ones.notes == none.notes


def test_models_on_datasets_of_other_weights_are_compared_by_the_weights_of_the_first(folders):
    evaluation = evaluate(folders["weighted"], folders["none"], resampling=FEW)
    values = [evaluation.parts[0].models[name]["auc"]["value"] for name in ("model", "against")]
    assert values[0] == values[1]
    assert any("weight the impressions differently" in note for note in evaluation.notes)
