"""Looks within epochs: where they are, what they say, and that training does not notice them."""

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
    return train_arm(config, planted.dataset, "arm", output, embeddings=None)


def test_training_does_not_notice_and_the_last_look_is_the_epochs_judgement(planted, tmp_path):
    looked = train(planted, tmp_path / "looked", evals_per_epoch=4)
    plain = train(planted, tmp_path / "plain")
    assert plain["curve"] == []
    for table in sorted((tmp_path / "plain" / "tables").iterdir()):
        np.testing.assert_array_equal(np.load(tmp_path / "looked" / "tables" / table.name), np.load(table))
    curve = looked["curve"]
    assert [look["epoch"] for look in curve] == [step / 15 for step in (3, 6, 9, 15, 18, 21, 24, 30)]
    scored = pq.read_table(tmp_path / "looked" / "predictions" / "validation.parquet").to_pandas()
    assert curve[-1]["log_loss"] == pytest.approx(log_loss(scored.label, scored.score), abs=1e-6)
    assert curve[-1]["auc"] == pytest.approx(roc_auc_score(scored.label, scored.score), abs=1e-9)
    steps = np.array([3, 3, 3, 6]) / 15  # since the look before
    assert np.dot(steps, [look["train_loss"] for look in curve[4:]]) == pytest.approx(
        looked["epochs"][1]["train"]["loss"], rel=1e-9)


def test_rounds_of_chunks_share_the_looks_of_a_pass(planted, tmp_path):
    looked = train(planted, tmp_path / "arm", evals_per_epoch=4, arm={"meda": {"kind": "continual", "chunks": 2}})
    assert [look["examples"] for look in looked["curve"]] == [512 * step for step in (3, 7, 10, 14, 17, 21, 24, 28)]
    assert looked["curve"][3]["epoch"] == 1
