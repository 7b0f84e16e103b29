"""Diagnoses of planted logs: a one-epoch effect with many rare ids, none with few frequent ids."""

import json

import numpy as np
import pandas as pd
import pytest
from planted import planted_config
from sklearn.metrics import log_loss
from typer.testing import CliRunner

from beam_pipelines.build_dataset import build
from tfrs_pretrain.cli import app
from tfrs_pretrain.config import Config, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.diagnosis.controls import BASE, CHANGES, NEW_TABLES, PRETRAINED, WITHOUT_ITEM, WITHOUT_USER
from tfrs_pretrain.diagnosis.diagnosis import Diagnosis, Extent
from tfrs_pretrain.diagnosis.run import diagnose
from tfrs_pretrain.diagnosis.verdict import NONE, SHARP
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.json_documents import without_digest
from tfrs_pretrain.ranking.learning.heldout_sample import HeldOutSample, training_counts

LONG_TAIL = {"users": 8000, "items": 60, "engagements": 60000, "impressions": 120000}
DENSE = {"users": 30, "items": 40, "engagements": 3000, "impressions": 120000}
DRAWS = Resampling(200)


def planted(folder, seed, sizes, batch_size):
    write_planted_logs(folder / "logs", seed=seed, **sizes)
    tree = planted_config(seed=seed)
    tree["ranking"] |= {"table_learning_rate": 0.01, "id_dim": 64, "hidden": [64, 32], "batch_size": batch_size}
    tree["pretraining"]["dim"] = 64
    config = Config.model_validate(tree)
    build(config, folder / "logs", folder / "dataset")
    return config, Dataset.open(folder / "dataset")


@pytest.fixture(scope="module")
def long_tail(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("long_tail"), 1, LONG_TAIL, 256)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2])
def test_a_long_tail_of_users_is_named_as_the_cause(tmp_path, seed):
    config, dataset = planted(tmp_path, seed, LONG_TAIL, 256)
    found = diagnose(config, dataset, tmp_path / "out", controls=[WITHOUT_USER, WITHOUT_ITEM], extent=Extent(),
                     resampling=DRAWS)
    assert (found.verdict.verdict, found.blamed, found.stop_after_epochs) == (SHARP, ["user"], 1)
    assert found.verdict.confidence > 0.95
    assert found.controls[WITHOUT_USER].share_of_rise < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_frequent_ids_show_no_effect(tmp_path, seed):
    config, dataset = planted(tmp_path, seed, DENSE, 256)
    found = diagnose(config, dataset, tmp_path / "out", controls=[], extent=Extent(), resampling=DRAWS)
    assert found.verdict.verdict == NONE
    assert found.blamed == []


@pytest.mark.slow
def test_every_control_runs_and_the_file_contains_the_result(long_tail, tmp_path):
    config, dataset = long_tail
    diagnosis = diagnose(config, dataset, tmp_path, controls=list(CHANGES), extent=Extent(impressions=4000),
                         resampling=DRAWS)
    found = json.loads((tmp_path / "diagnosis.json").read_text())
    assert without_digest(found) == diagnosis.to_json()
    assert Diagnosis.from_json(found) == diagnosis
    assert set(found["controls"]) == set(CHANGES)
    # New rows are learned again by the end of the epoch; pretrained rows leave less to memorise.
    assert found["controls"][NEW_TABLES]["end"] < found["end"] / 4
    assert found["controls"][PRETRAINED]["border"] < found["border"]
    base = found["controls"][BASE]
    assert base["epoch"][7] == 1
    assert base["examples"][-1] == 2 * (dataset.num_examples("impressions/train") // 256) * 256
    best = json.loads((dataset.folder.parent / "logs" / "manifest.json").read_text())["best_auc"]
    assert 0.6 < max(base["auc"]) < best + 0.02
    gaps = {(row["epoch"], row["ids"], row["training_impressions"]): row["gap"] for row in found["gap"]}
    assert gaps[2, "user", "1-4"] > gaps[1, "user", "1-4"] + 0.05


def test_rows_of_an_earlier_diagnosis_are_used_again_unless_settings_changed(long_tail, tmp_path):
    config, dataset = long_tail
    small = Extent(points=2, impressions=500)
    again = {"extent": small, "resampling": Resampling(20), "controls": [PRETRAINED]}
    first = diagnose(config, dataset, tmp_path, **again)
    made = (tmp_path / "embeddings" / "manifest.json").stat().st_mtime_ns
    assert diagnose(config, dataset, tmp_path, **again).controls == first.controls
    assert (tmp_path / "embeddings" / "manifest.json").stat().st_mtime_ns == made
    changed = parse_config(config.resolved(), ["pretraining.epochs=1"], origin="test")
    with pytest.raises(UserError, match=r"pretrained with other settings, first in pretraining.epochs \(3 there, 1 "):
        diagnose(changed, dataset, tmp_path, **again)


def test_the_sample_and_the_counts_equal_those_of_the_logs(long_tail):
    _, dataset = long_tail
    sample, counts = HeldOutSample(dataset, "impressions/validation", 3000), training_counts(dataset)
    logs = pd.read_parquet(dataset.folder.parent / "logs" / "impressions.parquet")
    training = logs[(logs.day >= 20) & (logs.day < 28)]
    assert counts["user"].sum() == counts["item"].sum() == len(training)
    vocabulary = dataset.vocabulary("item")
    names = ["" for _ in range(vocabulary.oov_rows)] + vocabulary.ids.to_pylist()
    by_name = training.item.value_counts()
    assert all(counts["item"][row] == by_name.get(name, 0) for row, name in enumerate(names) if name)
    np.testing.assert_array_equal(sample.counts(counts)["item"], counts["item"][sample.table_rows["item"]])

    class Ranker:
        def score(self, batch):
            return np.full((len(batch["label"]), 1), 0.25, np.float32).view(Numpy)

    class Numpy(np.ndarray):
        def numpy(self):
            return np.asarray(self)

    losses, _ = sample.losses(Ranker())
    assert losses.mean() == pytest.approx(log_loss(sample.labels, np.full(len(sample.labels), 0.25)))


def test_too_short_epochs_are_refused(long_tail, tmp_path):
    config, dataset = long_tail
    with pytest.raises(UserError, match="too few for 500 evaluations: lower --points"):
        diagnose(config, dataset, tmp_path, controls=[], extent=Extent(points=500), resampling=DRAWS)


def test_the_command_line_names_what_it_does_not_know(long_tail, tmp_path):
    _, dataset = long_tail
    result = CliRunner().invoke(app, ["diagnose", str(dataset.folder), "--output", str(tmp_path), "--control", "none"])
    assert isinstance(result.exception, UserError)
    assert "name one of ['as configured', 'without user ids'" in str(result.exception)
