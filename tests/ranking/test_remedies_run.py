"""One-epoch remedies and transfer modes through whole runs: early stopping, exact resume, artifact, console."""

from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss

from tfrs_pretrain.config import Config, EarlyStoppingConfig
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.learning.best_checkpoint import BestCheckpoint, best_folder
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.ranking.training_task import ArmTrainingTask

ARMS = {
    "stopping": {"epochs": 6, "early_stopping": {"metric": "log_loss", "patience": 2}, "table_learning_rate": 0.03},
    "meda": {"epochs": 3, "meda": {}},
    "continual": {"epochs": 3, "meda": {"kind": "continual", "chunks": 2}},
    "adamar": {"epochs": 2, "interval_decay": 0.01, "schedule": "linear", "warmup_steps": 5},
    "mixed": {
        "transfer": {"kind": "frozen", "pretrained_dropout": 0.5, "fresh_dim": 4}, "epochs": 2, "embedding_l2": 1e-4,
        "tables": {"user": {"kind": "frozen_then_trainable", "trainable_from_step": 20, "pretrained_dropout": 0.2,
                            "pretrained_dropout_of": "rows"}},
        "anchor": {"weight": 0.1}, "distillation": {"teacher": {"hidden": [16], "backbone": "dcn_v2"}}},
}


@pytest.fixture(scope="module")
def train(planted, planted_embeddings):
    tree = planted.dataset.info["config"]
    ranking = tree["ranking"] | {"batch_size": 512, "similarity": ["cosine", "norms"], "arms": ARMS}
    config = Config.model_validate(tree | {"ranking": ranking, "export": {"arm": "mixed"}})
    return lambda arm, output: train_arm(
        config, planted.dataset, arm, output, embeddings=planted_embeddings).to_json()


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory):
    """Folder and record of an arm, trained once without interruption: ``finished(arm)``."""
    done = {}

    def train_once(arm):
        if arm not in done:
            folder = tmp_path_factory.mktemp("finished") / arm
            done[arm] = folder, train(arm, folder)
        return done[arm]

    return train_once


def tables(folder):
    return {path.name: np.load(path) for path in sorted((folder / "tables").iterdir())}


def test_early_stopping_serves_and_evaluates_the_best_epoch(finished):
    folder, manifest = finished("stopping")
    losses = [epoch["validation"]["log_loss"] for epoch in manifest["epochs"]]
    best = manifest["best_epoch"]
    assert best == 1 + int(np.argmin(losses))
    assert len(losses) == best + 2 < 6
    assert manifest["metrics"]["validation"]["log_loss"] == losses[best - 1] < losses[-1]
    scored = pq.read_table(folder / "predictions" / "validation.parquet").to_pandas()
    assert log_loss(scored["label"], scored["score"]) == pytest.approx(losses[best - 1], abs=1e-6)
    assert not best_folder(folder).exists()


def test_continual_meda_counts_rounds_over_chunks(finished):
    _, manifest = finished("continual")
    assert [epoch["epoch"] for epoch in manifest["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert {epoch["examples"] for epoch in manifest["epochs"]} == {8000 // 512 // 2 * 512}


@pytest.mark.slow
@pytest.mark.parametrize("arm", list(ARMS))
def test_an_interrupted_run_ends_with_the_same_bits(arm, train, finished, tmp_path, monkeypatch):
    """Interrupted after the start of the second epoch: its start must be repeated, the best epoch must be found."""
    folder, manifest = finished(arm)
    begin = ArmTrainingTask.begin_epoch

    def interrupted(self, epoch):
        begin(self, epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ArmTrainingTask, "begin_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(arm, tmp_path / arm)
    again = train(arm, tmp_path / arm)
    assert again["metrics"] == manifest["metrics"]
    assert again["best_epoch"] == manifest["best_epoch"]
    for (name, one), other in zip(tables(folder).items(), tables(tmp_path / arm).values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert [path.name for path in tmp_path.iterdir()] == [arm]


def test_the_artifact_has_the_tables_of_every_transfer_mode_and_nothing_else(finished, planted):
    folder, manifest = finished("mixed")
    assert manifest["transfer"] == {"user": "frozen_then_trainable", "item": "frozen"}
    assert set(manifest["epochs"][0]["train"]) == {"loss", "hard", "soft", "anchor", "teacher", "soft_weight"}
    files = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert files == ["fresh_item.npy", "item.npy", "manifest.json", "network.keras", "place.npy", "test.parquet",
                     "user.npy", "validation.parquet"]
    np.testing.assert_array_equal(np.load(folder / "tables" / "item.npy")[3:], planted.items[3:])
    assert not np.array_equal(np.load(folder / "tables" / "user.npy")[2:], planted.users[2:])
    ranker = load_ranker(folder, planted.dataset)
    assert all(not table.slots for table in ranker.tables.values())
    records = next(evaluation_batches(planted.dataset, "impressions/test", batch_size=3000).as_numpy_iterator())
    stored = pq.read_table(folder / "predictions" / "test.parquet")["score"].to_numpy()
    np.testing.assert_allclose(ranker.score(records)[:, 0], stored, atol=1e-7)


def test_coverage_is_printed_before_training(train, tmp_path, monkeypatch, capsys):
    def stop(self, epoch):
        raise KeyboardInterrupt

    monkeypatch.setattr(ArmTrainingTask, "begin_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        train("mixed", tmp_path / "out")
    said = " ".join(capsys.readouterr().out.split())
    for split in ("train", "validation", "test"):
        assert f"{split}: pretrained rows for " in said
    assert "% of impressions have a pretrained user" in said
    with pytest.raises(KeyboardInterrupt):
        train("meda", tmp_path / "other")
    assert "pretrained rows" not in capsys.readouterr().out


class Twin:
    """A ranker of one table and one weight."""

    def __init__(self, tf):
        weights = tf.Variable([[0.0]])
        self.tables = {"user": SimpleNamespace(weights=weights, placed_variables=[PlacedVariable(weights, num_rows=1)])}
        self.network = SimpleNamespace(variables=[SimpleNamespace(value=tf.Variable([0.0]))])

    def set(self, value):
        self.tables["user"].weights.assign([[value]])
        self.network.variables[0].value.assign([-value])

    def get(self):
        return [float(self.tables["user"].weights[0, 0]), float(self.network.variables[0].value[0])]


@pytest.mark.parametrize(("metric", "values", "best", "ends"), [
    ("log_loss", [0.5, 0.4, 0.45, 0.41, 0.3], 2, [False, False, False, True, False]),
    ("auc", [0.5, 0.5, 0.6, 0.55, 0.6], 3, [False, False, False, False, True]),
    ("gauc", [0.5, 0.4, 0.3, 0.2, 0.1], 1, [False, False, True, True, True]),
])
def test_the_best_epoch_is_restored_after_patience_epochs_without_a_new_best(metric, values, best, ends, tmp_path):
    import tensorflow as tf

    ranker = Twin(tf)
    best_checkpoint = BestCheckpoint(tmp_path / "run.best", ranker, EarlyStoppingConfig(metric=metric, patience=2))
    found = []
    for epoch, value in enumerate(values, 1):
        ranker.set(epoch)
        best_checkpoint.update(epoch, {metric: value})
        found.append(best_checkpoint.is_exhausted(epoch))
        assert len(list((tmp_path / "run.best").iterdir())) <= 2
    assert found == ends
    if metric != "log_loss":  # there, the fifth epoch is a new best
        best_checkpoint.restore()
        assert ranker.get() == [best, -best]
    best_checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_is_undefined_is_refused(tmp_path):
    import tensorflow as tf

    best_checkpoint = BestCheckpoint(tmp_path / "run.best", Twin(tf), EarlyStoppingConfig(metric="gauc"))
    with pytest.raises(UserError, match=r"early_stopping.metric 'gauc' is undefined on the validation impressions"):
        best_checkpoint.update(1, {"gauc": None})
