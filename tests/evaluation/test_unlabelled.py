"""Impressions without a label: left out of every metric, counted, and named."""

import numpy as np
import pytest
from planted_predictions import ROWS, impressions, write_ranker
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.config.gate import Gate
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.evaluate import evaluate
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.evaluation.promotion import promote

FEW = Resampling(20)


@pytest.fixture
def rankers(tmp_path):
    """Two rankers of the same impressions, a third of which have no label "bought", and one without any."""
    columns, logits = impressions()
    bought = columns["label"].copy()
    bought[::3] = np.nan
    scores = 1 / (1 + np.exp(-logits))
    both = columns | {"label_bought": bought, "score_bought": scores.astype(np.float32)}
    return {"one": write_ranker(tmp_path / "one", both, scores),
            "other": write_ranker(tmp_path / "other", both | {"score_bought": scores.astype(np.float32)[::-1]}, scores),
            "none": write_ranker(tmp_path / "none", columns | {"label": np.full(ROWS, np.nan, np.float32)}, scores)}


def test_metrics_are_those_of_the_impressions_with_a_label(rankers):
    evaluation = evaluate(rankers["one"], rankers["other"], label="bought", resampling=FEW)
    whole, predictions = evaluation.parts[0], Predictions.open(rankers["one"], label="bought")
    assert whole.part.impressions == len(predictions.labels) == ROWS - ROWS // 3
    assert whole.models["model"]["auc"]["value"] == pytest.approx(
        roc_auc_score(predictions.labels, predictions.scores))
    assert evaluation.notes[0] == "1,000 of 3,000 impressions have no label and do not count"
    assert sum(result.part.impressions for result in evaluation.parts if result.part.slicing == "users") == 2000


def test_the_main_label_of_the_same_file_counts_everywhere(rankers):
    predictions = Predictions.open(rankers["one"])
    assert (len(predictions.labels), predictions.unlabelled) == (ROWS, 0)


def test_the_gate_counts_labels(rankers):
    gate = Gate(label="bought", min_impressions=2001, thresholds={"auc": {"min": 0.5}}, replicates=100)
    promotion = promote(rankers["one"], gate, rankers["other"])
    assert promotion.verdict == "refused"
    assert [check.numbers["value"] for check in promotion.checks if check.kind == "min_impressions"] == [2000]
    assert "1,000 of 3,000 impressions have no label and do not count" in promotion.notes


def test_predictions_without_any_label_are_refused(rankers):
    with pytest.raises(UserError, match="scored 3,000 impressions, none with label 'label': choose another split"):
        evaluate(rankers["none"], resampling=FEW)
