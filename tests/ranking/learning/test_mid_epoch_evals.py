"""Evaluations within epochs: their steps, their values, and no effect on training."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.config import Config
from tfrs_pretrain.ranking.run import train_arm


def train(planted, output, **ranking):
    tree = planted.dataset.info["config"]
    config = Config.model_validate(tree | {"ranking": tree["ranking"] | {
        "batch_size": 512, "arms": {"arm": {"epochs": 2, **ranking.pop("arm", {})}}} | ranking, "export": {
            "arm": "arm"}})
    return train_arm(config, planted.dataset, "arm", output, embeddings=None).to_json()


def test_evaluations_do_not_change_training_and_the_last_equals_the_epochs_metrics(planted, tmp_path):
    evaluated = train(planted, tmp_path / "evaluated", evals_per_epoch=4)
    plain = train(planted, tmp_path / "plain")
    assert plain["curve"] == []
    for table in sorted((tmp_path / "plain" / "tables").iterdir()):
        np.testing.assert_array_equal(np.load(tmp_path / "evaluated" / "tables" / table.name), np.load(table))
    curve = evaluated["curve"]
    assert [point["epoch"] for point in curve] == [step / 15 for step in (3, 6, 9, 15, 18, 21, 24, 30)]
    scored = pq.read_table(tmp_path / "evaluated" / "predictions" / "validation.parquet").to_pandas()
    assert curve[-1]["log_loss"] == pytest.approx(log_loss(scored.label, scored.score), abs=1e-6)
    assert curve[-1]["auc"] == pytest.approx(roc_auc_score(scored.label, scored.score), abs=1e-9)
    steps = np.array([3, 3, 3, 6]) / 15  # since the previous evaluation
    assert np.dot(steps, [point["train_loss"] for point in curve[4:]]) == pytest.approx(
        evaluated["epochs"][1]["train"]["loss"], rel=1e-9)


def test_rounds_of_chunks_share_the_evaluations_of_a_pass(planted, tmp_path):
    meda = {"kind": "continual", "chunks": 2}
    evaluated = train(planted, tmp_path / "arm", evals_per_epoch=4, arm={"meda": meda})
    assert [point["examples"] // 512 for point in evaluated["curve"]] == [3, 7, 10, 14, 17, 21, 24, 28]
    assert evaluated["curve"][3]["epoch"] == 1
