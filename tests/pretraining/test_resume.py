"""Stage I killed at awkward moments and started again ends as if nothing had happened."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import tfrs_pretrain  # noqa: F401  (selects Keras 2 for tf.keras before TensorFlow loads)

# isort: split
from tfrs_pretrain.config import Config
from tfrs_pretrain.data import planted
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.run import pretrain

EVERY = 3  # steps between checkpoints


def configured(seed=7, **pretraining):
    tree = planted.planted_config(training={"checkpoint_every_steps": EVERY}, seed=seed)
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | pretraining})


# The process ends itself, so that the moment is exact: argv = dataset, output, signal, what to count, at which count.
DYING = """
import os, sys
from pathlib import Path
import tfrs_pretrain
from test_resume import configured
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.training import checkpoint, loop

dataset, output, number, event, at = sys.argv[1:]
loop.STEPS_PER_CALL = 1
counted = 0
def dying(function):
    def call(*arguments, **keywords):
        global counted
        counted += 1
        if counted == int(at):
            os.kill(os.getpid(), int(number))
        return function(*arguments, **keywords)
    return call
if event == "step":
    loop._Loop.__call__ = dying(loop._Loop.__call__)
if event == "write":
    checkpoint.file_digest = dying(checkpoint.file_digest)
pretrain(configured(), Dataset.open(dataset), Path(output))
"""


def run_until(tiny_dataset, output, number, event, at):
    done = subprocess.run([sys.executable, "-c", DYING, str(tiny_dataset.folder), str(output), str(int(number)), event,
                           str(at)], capture_output=True, text=True, check=False, cwd="tests/pretraining")
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def uninterrupted(tiny_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "embeddings"
    return folder, pretrain(configured(), tiny_dataset, folder)


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bits(uninterrupted, tiny_dataset, tmp_path):
    output = tmp_path / "embeddings"
    checkpoints = tmp_path / "embeddings.checkpoints"

    def newest():
        return max((path.name for path in checkpoints.glob("step-*")), default=None)

    for number, event, at, code, expected in (
            (signal.SIGKILL, "step", 8, -9, 6),                           # step 8 of the first epoch
            (signal.SIGKILL, "write", 3 * 10 + 2, -9, None),              # in the middle of writing a checkpoint
            (signal.SIGTERM, "step", 50, 143, None)):
        before = newest()
        came, words = run_until(tiny_dataset, output, number, event, at)
        assert came == code, words[-2000:]
        assert ("continues from checkpoint" in words) == (before is not None)
        assert (newest() or "") > (before or "") or number == signal.SIGKILL
        if expected is not None:
            assert newest() == f"step-{expected:09d}"
    manifest = pretrain(configured(), tiny_dataset, output)
    assert not checkpoints.exists()
    for name in ("user", "item"):
        np.testing.assert_array_equal(Embeddings.open(output).rows(name), Embeddings.open(uninterrupted[0]).rows(name))
    metrics = [[[epoch[name] for name in ("train_loss", "heldout_loss", "recall@50")] for epoch in one["epochs"][1:]]
               for one in (manifest, uninterrupted[1])]
    np.testing.assert_allclose(*metrics, rtol=1e-12)


def interrupted(dataset, output, monkeypatch, config):
    """Leaves the checkpoints of a run that stopped in its first epoch."""
    monkeypatch.setattr("tfrs_pretrain.pretraining.trainee.Evaluator.__call__", fail_after_first())
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
    {"negatives": "mixed", "uniform_negatives": 64, "learn_temperature": True, "mask_known_positives": True},
    {"optimizer": "rowwise_adagrad", "embedding_l2": 1e-4, "l2_rarity_power": 0.5, "log_q_form": "refined"},
])
def test_every_state_and_every_draw_is_continued(tiny_dataset, tmp_path, monkeypatch, settings):
    config = configured(epochs=2, recall_at=[], **settings)
    interrupted(tiny_dataset, tmp_path / "e", monkeypatch, config)
    assert (tmp_path / "e.checkpoints").is_dir()
    pretrain(config, tiny_dataset, tmp_path / "e")
    pretrain(config, tiny_dataset, tmp_path / "whole")
    for name in ("user", "item"):
        np.testing.assert_array_equal(*(Embeddings.open(tmp_path / run).rows(name) for run in ("e", "whole")))


def test_checkpoints_of_another_configuration_are_refused(tiny_dataset, tmp_path, monkeypatch):
    interrupted(tiny_dataset, tmp_path / "e", monkeypatch, configured())
    with pytest.raises(UserError, match=r"another run, first difference in pretraining.temperature \(0.2 there"):
        pretrain(configured(temperature=0.5), tiny_dataset, tmp_path / "e")
    with pytest.raises(UserError, match=r"another run, first difference in seed \(7 there, 8 here\)"):
        pretrain(configured(seed=8), tiny_dataset, tmp_path / "e")


def test_diverging_run_names_step_ids_and_checkpoint(tiny_dataset, tmp_path, monkeypatch):
    config = configured(normalize=False, optimizer="adagrad", learning_rate=1e38)
    with pytest.raises(UserError) as error:
        pretrain(config, tiny_dataset, tmp_path / "e")
    message = str(error.value)
    assert "not finite at step" in message
    assert "last good checkpoint: none yet" in message
    assert "'ítem-" in message
