"""Metrics of a table of predictions, as recorded in manifests."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from tfrs_pretrain.ranking.split_metrics import split_metrics


@pytest.fixture
def table():
    random = np.random.default_rng(3)
    requests = np.repeat(np.arange(40), 10)
    columns = {"user_id": requests // 2, "item": random.integers(0, 250, 400), "request": requests,
               "label": random.integers(0, 2, 400).astype(np.float32), "score": random.random(400, np.float32),
               "label_liked": random.integers(0, 2, 400).astype(np.float32), "score_liked": random.random(400)}
    return pa.table(columns)


def test_every_head_is_evaluated(table, planted):
    metrics = split_metrics(table, planted.dataset).metrics
    frame = table.to_pandas()
    assert metrics["auc"] == pytest.approx(roc_auc_score(frame["label"], frame["score"]))
    assert set(metrics["labels"]) == {"liked"}
    assert metrics["labels"]["liked"]["auc"] == pytest.approx(roc_auc_score(frame["label_liked"], frame["score_liked"]))
    assert metrics["labels"]["liked"]["log_loss"] == pytest.approx(log_loss(frame["label_liked"], frame["score_liked"]))


def test_impressions_without_a_label_do_not_count_for_it(table, planted):
    frame = table.to_pandas()
    frame.loc[::3, "label"] = np.nan
    frame.loc[1:390, "label_liked"] = np.nan
    evaluated = split_metrics(pa.Table.from_pandas(frame), planted.dataset)
    for name, found in (("", evaluated.metrics), ("_liked", evaluated.metrics["labels"]["liked"])):
        present = frame[frame["label" + name].notna()]
        assert found["impressions"] == len(present) < 400
        assert found["positives"] == present["label" + name].sum()
        assert found["auc"] == pytest.approx(roc_auc_score(present["label" + name], present["score" + name]))
    assert sum(part["impressions"] for part in evaluated.slices) == evaluated.metrics["impressions"]
    assert evaluated.slices == split_metrics(pa.Table.from_pandas(frame[frame.label.notna()]), planted.dataset).slices


def test_a_label_that_is_missing_everywhere_has_no_metrics(table, planted):
    frame = table.to_pandas()
    frame["label_liked"] = np.float32(np.nan)
    liked = split_metrics(pa.Table.from_pandas(frame), planted.dataset).metrics["labels"]["liked"]
    assert (liked["impressions"], liked["positives"], liked["auc"], liked["log_loss"]) == (0, 0, None, None)


def test_requests_are_ranked_lists_if_they_are_known(table, planted):
    frame = table.to_pandas()
    labels, scores = (frame[name].to_numpy().reshape(40, 10) for name in ("label", "score"))
    both = (labels.min(1) < 1) & (labels.max(1) > 0)
    evaluated = split_metrics(table, planted.dataset)
    assert evaluated.metrics["ndcg@5"] == pytest.approx(ndcg_score(labels[both], scores[both], k=5))
    assert evaluated.slices[-1]["slice"] == "100+"
    assert evaluated.slices[-1]["ndcg@5"] is not None
    without = split_metrics(table.drop_columns(["request", "label_liked", "score_liked"]), planted.dataset).metrics
    assert without["ndcg@5"] is None
    assert "labels" not in without
