"""Stage I, killed at awkward moments and resumed, ends with the same bits as an uninterrupted run."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import planted
import pytest
from processes import newest, run_until
from resealed import rewrite

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.run import pretrain

EVERY = 3  # steps between checkpoints


def configured(seed=7, **pretraining):
    tree = planted.planted_config(training={"checkpoint_every_steps": EVERY}, seed=seed)
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | pretraining})


SCRIPT = Path(__file__).with_name("resumable_run.py")


@pytest.fixture(scope="module")
def uninterrupted(tiny_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "embeddings"
    return folder, pretrain(configured(), tiny_dataset, folder)


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bits(uninterrupted, tiny_dataset, tmp_path):
    output = tmp_path / "embeddings"
    checkpoints = tmp_path / "embeddings.checkpoints"

    for number, event, at, code, expected in (
            (signal.SIGKILL, "step", 8, -9, 6),                           # step 8 of the first epoch
            (signal.SIGKILL, "write", 3 * 10 + 2, -9, None),              # in the middle of writing a checkpoint
            (signal.SIGTERM, "step", 50, 143, None)):
        before = newest(checkpoints)
        returned, output_text = run_until(SCRIPT, number, event, at, tiny_dataset.folder, output)
        assert returned == code, output_text[-2000:]
        assert ("resuming from checkpoint" in output_text) == (before is not None)
        assert (newest(checkpoints) or "") > (before or "") or number == signal.SIGKILL
        if expected is not None:
            assert newest(checkpoints) == f"step-{expected:09d}"
    result = pretrain(configured(), tiny_dataset, output)
    assert not checkpoints.exists()
    for name in ("user", "item"):
        np.testing.assert_array_equal(Embeddings.open(output).matrix(name),
                                      Embeddings.open(uninterrupted[0]).matrix(name))
    metrics = [[[epoch[name] for name in ("train_loss", "heldout_loss", "recall@50")] for epoch in one.epochs[1:]]
               for one in (result, uninterrupted[1])]
    np.testing.assert_allclose(*metrics, rtol=1e-12)


def interrupted(dataset, output, monkeypatch, config):
    """Leave the checkpoints of a run that stopped in its first epoch."""
    monkeypatch.setattr("tfrs_pretrain.pretraining.training_task.Evaluator.__call__", fail_after_first())
    with pytest.raises(RuntimeError, match="stopped"):
        pretrain(config, dataset, output)
    monkeypatch.undo()


def fail_after_first():
    calls = []

    def evaluate(self, model):
        calls.append(model)
        if len(calls) > 1:
            raise RuntimeError("stopped")
        return {"heldout_loss": 1.0}

    return evaluate


@pytest.mark.slow
@pytest.mark.parametrize("settings", [
    {"objective": {"temperature": 0.2, "learn_temperature": True,
                   "negatives": {"kind": "mixed", "count": 64, "mask_known_positives": True}}},
    {"optimizer": "rowwise_adagrad", "embedding_l2": 1e-4, "interval_decay": 0.01,
     "objective": {"temperature": 0.2, "negatives": {"log_q": "refined"}}},
])
def test_every_state_and_every_draw_is_resumed(tiny_dataset, tmp_path, monkeypatch, settings):
    config = configured(epochs=2, recall_at=[], **settings)
    interrupted(tiny_dataset, tmp_path / "e", monkeypatch, config)
    assert (tmp_path / "e.checkpoints").is_dir()
    pretrain(config, tiny_dataset, tmp_path / "e")
    pretrain(config, tiny_dataset, tmp_path / "whole")
    for name in ("user", "item"):
        np.testing.assert_array_equal(*(Embeddings.open(tmp_path / run).matrix(name) for run in ("e", "whole")))


def test_checkpoints_of_another_configuration_are_refused(tiny_dataset, tmp_path, monkeypatch):
    interrupted(tiny_dataset, tmp_path / "e", monkeypatch, configured())
    with pytest.raises(UserError, match=r"first difference in pretraining.objective.temperature \(0.2 there"):
        pretrain(configured(objective={"temperature": 0.5}), tiny_dataset, tmp_path / "e")
    with pytest.raises(UserError, match=r"another run, first difference in seed \(7 there, 8 here\)"):
        pretrain(configured(seed=8), tiny_dataset, tmp_path / "e")


def test_checkpoints_of_another_dataset_are_refused(tiny_dataset, tmp_path, monkeypatch):
    interrupted(tiny_dataset, tmp_path / "e", monkeypatch, configured())
    shutil.copytree(tiny_dataset.folder, tmp_path / "dataset")
    info = tmp_path / "dataset" / DATASET_INFO
    rewrite(info, json.loads(info.read_text()) | {"built": "again, from other logs"})
    with pytest.raises(UserError, match="another run, first difference in dataset_info_digest"):
        pretrain(configured(), Dataset.open(tmp_path / "dataset"), tmp_path / "e")


def test_diverging_run_names_step_ids_and_checkpoint(tiny_dataset, tmp_path, monkeypatch):
    config = configured(objective={"normalize": False}, optimizer="adagrad", learning_rate=1e38)
    with pytest.raises(UserError) as error:
        pretrain(config, tiny_dataset, tmp_path / "e")
    message = str(error.value)
    assert "not finite at step" in message
    assert "last good checkpoint: none yet" in message
    assert "'ítem-" in message
