import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.run import train_arm


@pytest.fixture(scope="module")
def runs(planted, planted_embeddings, tmp_path_factory):
    """Folder, and the manifest of each arm, which contains what ``train_arm`` returned."""
    config = Config.model_validate(planted.dataset.info["config"])
    folder = tmp_path_factory.mktemp("arms")
    trained = {arm: train_arm(config, planted.dataset, arm, folder / arm, embeddings=planted_embeddings)
               for arm in config.ranking.arms}
    manifests = {arm: read_manifest(folder / arm, "ranker") for arm in trained}
    for arm, result in trained.items():
        assert json.loads(json.dumps(result.to_json())).items() <= manifests[arm].items()
    return folder, manifests


def changed(config, **ranking):
    tree = config.resolved()
    tree["ranking"] |= ranking
    return Config.model_validate(tree)


def test_metrics_in_the_manifest_are_those_of_the_stored_predictions(runs, planted):
    folder, manifests = runs
    for arm, manifest in manifests.items():
        for split, count in (("validation", 1500), ("test", 3000)):
            scored = pq.read_table(folder / arm / "predictions" / f"{split}.parquet").to_pandas()
            assert list(scored.columns) == [
                "key", "user_id", "item_id", "user", "item", "label", "score", "item_count", "user_count",
                "feature.place", "feature.outcome"]
            metrics = manifest["metrics"][split]
            assert metrics["impressions"] == len(scored) == count
            assert metrics["auc"] == pytest.approx(roc_auc_score(scored["label"], scored["score"]), abs=1e-9)
            assert metrics["log_loss"] == pytest.approx(log_loss(scored["label"], scored["score"]), abs=1e-6)
            assert sum(part["impressions"] for part in manifest["slices"][split]) == count
    records = next(evaluation_batches(planted.dataset, "impressions/test", batch_size=3000).as_numpy_iterator())
    np.testing.assert_array_equal(scored["key"], records["key"])
    np.testing.assert_array_equal(scored["label"], records["label"])
    assert scored["item_id"][0] == records["item_id"][0].decode()


def test_the_manifest_records_the_run(runs, planted):
    _, manifests = runs
    scratch, distilled = manifests["scratch"], manifests["distilled"]
    assert (scratch["kind"], scratch["arm"], scratch["transfer"], scratch["embeddings"]) == (
        "ranker", "scratch", "scratch", None)
    assert scratch["coverage"] == {}
    assert set(distilled["coverage"]) == {"train", "validation", "test"}
    assert distilled["embeddings"]["window"] == {"start": 0, "end": 10}
    assert distilled["vocabularies"] == planted.dataset.digests
    assert distilled["windows"]["test"] == {"start": 22, "end": 30}
    assert set(scratch["epochs"][0]["train"]) == {"loss"}
    assert set(distilled["epochs"][0]["train"]) == {"loss", "hard", "soft", "teacher", "soft_weight"}
    assert scratch["epochs"][0]["examples"] == 8000 // 128 * 128
    assert distilled["epochs"][0]["validation"] == distilled["metrics"]["validation"]
    assert min(distilled[name] for name in ("seconds", "peak_rss_bytes", "examples_per_second")) > 0


def test_pretrained_factors_beat_scratch(runs):
    _, manifests = runs
    scratch, warm = (manifests[arm]["metrics"]["test"] for arm in ("scratch", "warm_start"))
    assert warm["auc"] > scratch["auc"] + 0.05
    assert warm["log_loss"] < scratch["log_loss"] - 0.01


def test_a_loaded_ranker_has_the_trained_scores_and_no_teacher(runs, planted):
    folder, _ = runs
    ranker = load_ranker(folder / "distilled", planted.dataset)
    assert ranker.inputs.columns == ("user", "item", "place", "price")
    records = next(evaluation_batches(planted.dataset, "impressions/test", batch_size=3000).as_numpy_iterator())
    stored = pq.read_table(folder / "distilled" / "predictions" / "test.parquet")["score"].to_numpy()
    np.testing.assert_allclose(ranker.score(records)[:, 0], stored, atol=1e-7)
    files = sorted(path.name for path in (folder / "distilled").rglob("*") if path.is_file())
    assert files == ["item.npy", "manifest.json", "network.keras", "place.npy", "test.parquet", "user.npy",
                     "validation.parquet"]


def test_the_seed_determines_the_numbers(runs, planted, planted_embeddings, config, tmp_path):
    folder, manifests = runs
    again = train_arm(config, planted.dataset, "distilled", tmp_path / "again", embeddings=planted_embeddings).to_json()
    assert again["metrics"] == manifests["distilled"]["metrics"]
    assert again["epochs"][0]["train"] == manifests["distilled"]["epochs"][0]["train"]
    np.testing.assert_array_equal(np.load(tmp_path / "again" / "tables" / "item.npy"),
                                  np.load(folder / "distilled" / "tables" / "item.npy"))
    other = Config.model_validate(config.resolved() | {"seed": 5})
    moved = train_arm(other, planted.dataset, "distilled", tmp_path / "other", embeddings=planted_embeddings).to_json()
    assert moved["metrics"]["test"] != again["metrics"]["test"]


def test_every_epoch_is_recorded_and_shuffled_differently(planted, config, tmp_path):
    trained = train_arm(changed(config, epochs=2), planted.dataset, "scratch", tmp_path / "two", embeddings=None)
    manifest = trained.to_json()
    assert [epoch["epoch"] for epoch in manifest["epochs"]] == [1, 2]
    assert manifest["epochs"][1]["train"]["loss"] < manifest["epochs"][0]["train"]["loss"]
    assert manifest["epochs"][1]["validation"] == manifest["metrics"]["validation"]


@pytest.mark.parametrize(("ranking", "arm", "message"), [
    ({}, "warm", r"arm 'warm' is not in ranking.arms: name one of \['distilled', 'scratch', 'warm_start'\]"),
    ({}, "warm_start", "no embeddings were given"),
    ({"batch_size": 8001}, "scratch", "larger than the 8000 training impressions"),
    ({"learning_rate": 1e30}, "scratch", "loss is not finite at step"),
])
def test_invalid_runs_are_refused_and_leave_no_files(planted, config, tmp_path, ranking, arm, message):
    with pytest.raises(UserError, match=message):
        train_arm(changed(config, **ranking), planted.dataset, arm, tmp_path / "out", embeddings=None)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept_unless_overwriting(runs, planted, config):
    folder, manifests = runs
    with pytest.raises(UserError, match="not empty"):
        train_arm(changed(config, learning_rate=0.1), planted.dataset, "scratch", folder / "scratch", embeddings=None)
    trained = train_arm(config, planted.dataset, "scratch", folder / "scratch", embeddings=None, overwrite=True)
    manifest = trained.to_json()
    assert manifest["metrics"] == manifests["scratch"]["metrics"]


def test_the_finished_output_of_the_same_call_is_returned_without_training(runs, planted, planted_embeddings, config,
                                                                           monkeypatch, tmp_path):
    folder = shutil.copytree(runs[0] / "warm_start", tmp_path / "warm_start")
    monkeypatch.setattr("tfrs_pretrain.training.trainer.Trainer.run", lambda _: pytest.fail("trained again"))
    (tmp_path / "warm_start.best" / "epoch-0001").mkdir(parents=True)
    call = functools.partial(train_arm, config, planted.dataset, "warm_start", folder)
    assert call(embeddings=planted_embeddings).to_json().items() <= runs[1]["warm_start"].items()
    assert list(tmp_path.iterdir()) == [folder]
    with pytest.raises(UserError, match="not empty"):
        call(embeddings=planted_embeddings, test=False)
    rows = shutil.copytree(planted_embeddings, tmp_path / "rows")
    (rows / "manifest.json").write_text((rows / "manifest.json").read_text() + "\n")
    with pytest.raises(UserError, match="not empty"):
        call(embeddings=rows)


def test_a_ranker_of_other_vocabularies_or_damaged_is_refused(runs, planted, config, tmp_path):
    train_arm(config, planted.dataset, "scratch", tmp_path / "ranker", embeddings=None)
    info = json.loads(json.dumps(planted.dataset.info))
    info["vocabularies"]["place"]["digest"] = "0" * 64
    with pytest.raises(UserError, match="another vocabulary 'place'"):
        load_ranker(tmp_path / "ranker", Dataset(planted.dataset.folder, info))
    (tmp_path / "ranker" / "tables" / "item.npy").unlink()
    with pytest.raises(UserError, match=r"item.npy': expected .*, found no file"):
        load_ranker(tmp_path / "ranker", planted.dataset)


def test_a_damaged_record_is_named_and_leaves_no_files(planted, config, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(planted.dataset.folder, folder)
    dataset = Dataset(folder, planted.dataset.info)
    path = Path(dataset.files("impressions/train")[0])
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 0xFF
    path.write_bytes(blob)
    with pytest.raises(UserError, match=r"00001.tfrecord' cannot be read at record (39|40)\d\d, which starts "):
        train_arm(config, dataset, "scratch", tmp_path / "out", embeddings=None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["damaged"]
