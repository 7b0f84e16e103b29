"""A Stage II run that is killed and started again has the same result as an uninterrupted one."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from processes import newest, run_until
from resealed import rewrite

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.run import train_arm

SCRIPT = Path(__file__).with_name("resumable_arm.py")


TRANSFER = {"kind": "warm_start", "pretrained_rms": 0.3, "shrinkage": 5.0, "evidence": 20.0, "cold_rows": "features"}


def configured(dataset, seed=4, **ranking):
    tree = dataset.info["config"]
    arms = tree["ranking"]["arms"] | {"distilled": {"transfer": TRANSFER, "distillation": {
        "teacher": {"hidden": [32, 16]}}}}
    return Config.model_validate(tree | {"seed": seed, "training": {"checkpoint_every_steps": 7},
                                         "ranking": tree["ranking"] | {
                                             "arms": arms, "epochs": 2, "batch_size": 512,
                                             "evals_per_epoch": 3} | ranking})


def train(dataset, embeddings, output, arm="distilled", **settings):
    return train_arm(configured(dataset, **settings), dataset, arm, output, embeddings=embeddings).to_json()


@pytest.fixture(scope="module")
def uninterrupted(planted, planted_embeddings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "ranker"
    return folder, train(planted.dataset, planted_embeddings, folder)


def assert_same_ranker(one, other):
    paths = sorted(path.relative_to(one) for path in one.rglob("*") if path.suffix in (".npy", ".parquet"))
    assert len(paths) == 3 + 2  # tables, predictions
    for path in paths:
        if path.suffix == ".npy":
            np.testing.assert_array_equal(np.load(one / path), np.load(other / path), err_msg=str(path))
        else:
            assert pq.read_table(one / path).equals(pq.read_table(other / path)), path


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bits(uninterrupted, planted, planted_embeddings, tmp_path):
    output = tmp_path / "ranker"
    checkpoints = tmp_path / "ranker.checkpoints"
    for number, event, at, code, expected in (
            (signal.SIGKILL, "step", 12, -9, 7),   # step 12 of the first epoch's 15
            (signal.SIGKILL, "write", 1.5, -9, 14),  # after writing one, in the middle of writing another
            (signal.SIGTERM, "step", 9, 143, 23)):  # in the second epoch
        before = newest(checkpoints)
        files = len(list((checkpoints / before).glob("*.npy"))) if event == "write" else 1
        returned, text = run_until(SCRIPT, number, event, int(at * files), planted.dataset.folder, planted_embeddings,
                                output)
        assert returned == code, text[-2000:]
        assert ("resuming from checkpoint" in text) == (before is not None)
        assert newest(checkpoints) == f"step-{expected:09d}"
        assert not output.exists()
    manifest = train(planted.dataset, planted_embeddings, output)
    assert not checkpoints.exists()
    assert_same_ranker(output, uninterrupted[0])
    assert manifest["metrics"] == uninterrupted[1]["metrics"]
    losses = [[epoch["train"] for epoch in one["epochs"]] for one in (manifest, uninterrupted[1])]
    for again, whole in zip(*losses, strict=True):
        assert again == pytest.approx(whole, rel=1e-12)
    curves = manifest["curve"], uninterrupted[1]["curve"]
    assert [point["examples"] for point in curves[0]] == [512 * step for step in (5, 10, 15, 20, 25, 30)]
    for again, whole in zip(*curves, strict=True):
        assert again.pop("train_loss") == pytest.approx(whole.pop("train_loss"), rel=1e-12)
        assert again == whole


def interrupted(planted, output, monkeypatch, embeddings):
    """Leaves the checkpoints of a run that stopped at its first evaluation."""
    monkeypatch.setattr("tfrs_pretrain.ranking.training_task.predict", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(planted.dataset, embeddings, output)
    monkeypatch.undo()


def test_checkpoints_of_another_run_are_refused(planted, planted_embeddings, tmp_path, monkeypatch):
    output = tmp_path / "ranker"
    interrupted(planted, output, monkeypatch, planted_embeddings)
    for settings, message in (({"seed": 5}, r"seed \(4 there, 5 here\)"),
                              ({"learning_rate": 1e-3}, r"ranking.learning_rate \(0.005 there, 0.001 here\)")):
        with pytest.raises(UserError, match=f"another run, first difference in {message}"):
            train(planted.dataset, planted_embeddings, output, **settings)
    other = tmp_path / "embeddings"
    shutil.copytree(planted_embeddings, other)
    manifest = other / "manifest.json"
    rewrite(manifest, json.loads(manifest.read_text()) | {"seed": 8})
    with pytest.raises(UserError, match="another run, first difference in embeddings_manifest_digest"):
        train(planted.dataset, other, output)


def test_checkpoints_of_another_dataset_are_refused(planted, planted_embeddings, tmp_path, monkeypatch):
    output, folder = tmp_path / "ranker", tmp_path / "dataset"
    interrupted(planted, output, monkeypatch, planted_embeddings)
    shutil.copytree(planted.dataset.folder, folder)
    info = json.loads((folder / DATASET_INFO).read_text())
    info["numeric"]["price"]["mean"] = 2.5
    rewrite(folder / DATASET_INFO, info)
    with pytest.raises(UserError, match="another run, first difference in dataset_info_digest"):
        train(Dataset.open(folder), planted_embeddings, output)


def test_checkpoints_of_another_arm_with_other_variables_are_refused(planted, planted_embeddings, tmp_path,
                                                                     monkeypatch):
    output = tmp_path / "ranker"
    interrupted(planted, output, monkeypatch, planted_embeddings)
    with pytest.raises(UserError, match=r"another run, first difference in arm \('distilled' there, 'scratch' here\)"):
        train(planted.dataset, None, output, arm="scratch")


def test_a_diverging_run_names_step_ids_and_checkpoint(planted, tmp_path):
    with pytest.raises(UserError, match=r"not finite at step .* first \(user, item\) pairs of the batch: "
                                        r"\(\d+, 'ítem-\d+'\).*last good checkpoint: none yet"):
        train(planted.dataset, None, tmp_path / "ranker", arm="scratch", learning_rate=1e30)
