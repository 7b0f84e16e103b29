"""Replicas change nothing: 1, 2 and 4 on one machine, and two workers in processes of their own."""

import shutil
import signal
from pathlib import Path

import numpy as np
import planted
import pytest
from pretraining_replicas import results
from processes import finish, signal_once_saved, two_workers
from replicas import assert_replicas_identical, assert_runs_identical, replica_runs

from tfrs_pretrain.config import Config
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.pretraining.run import pretrain

SCRIPT = Path(__file__).with_name("pretraining_replicas.py")
WORKER = Path(__file__).with_name("worker_run.py")


def configured(strategy, placement="replicated"):
    tree = planted.planted_config(training={"strategy": strategy, "checkpoint_every_steps": 7, "placement": placement})
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | {"epochs": 2}})


@pytest.fixture(scope="module")
def runs(tiny_dataset, tmp_path_factory):
    """Run name -> arrays of one replica, in this process, and of the others."""
    return replica_runs(SCRIPT, tiny_dataset, tmp_path_factory.mktemp("replicas"), results)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "replicas"), [("2", 2), ("4", 4), ("worker0", 2), ("worker1", 2)])
def test_replicas_change_nothing(runs, name, replicas):
    one, other = runs["1"], runs[name]
    assert (one["replicas"], other["replicas"]) == (1, replicas)
    np.testing.assert_allclose(other["first"], one["first"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(other["mean"], one["mean"], rtol=0, atol=1e-5)
    for key, expected in one.items():
        if key.startswith("gradient/"):
            assert np.abs(expected).max() > 1e-2
            np.testing.assert_allclose(other[key], expected, rtol=1e-6, atol=1e-6, err_msg=key)
        elif "/" in key:
            np.testing.assert_allclose(other[key], expected, rtol=0, atol=1e-4, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2", "4"])
def test_replicas_stay_bit_identical(runs, name):
    # Rows, mean and square of two tables; two gradients.
    assert_replicas_identical(runs[name], int(name), arrays=2 * 3 + 2)


@pytest.mark.slow
def test_workers_stay_bit_identical(runs):
    assert_runs_identical(runs["worker0"], runs["worker1"])


@pytest.mark.slow
def test_rows_dealt_over_two_workers_get_the_gradients_of_one_device(runs):
    one, two = runs["1"], runs["worker1"]
    np.testing.assert_allclose(two["sharded/first"], one["first"], rtol=0, atol=1e-6)
    for name in ("user", "item"):
        np.testing.assert_allclose(two[f"sharded/{name}/gradient"], one[f"gradient/{name}/rows/0"], rtol=1e-6,
                                   atol=1e-6)
    for size in (0, 1, 20):
        expected = two["sharded/user"][:2 * size].reshape(-1, 2, two["sharded/user"].shape[1])[::-1]
        np.testing.assert_array_equal(two[f"sharded/some/{size}"], expected)


@pytest.mark.slow
def test_two_workers_stop_together_lose_one_resume_and_train_the_same_rows_as_one(tiny_dataset, tmp_path):
    def stopped(number, placement):
        """Exit codes and outputs of two workers of which the second receives a signal."""
        workers = two_workers(lambda index: [WORKER, tiny_dataset.folder, tmp_path / "two", placement])
        signal_once_saved(workers[1], number, tmp_path / "two.checkpoints")
        outputs = [worker.communicate(timeout=300)[0] for worker in workers]
        return [worker.returncode for worker in workers], outputs

    pretrain(configured("one_device"), tiny_dataset, tmp_path / "one")
    codes, outputs = stopped(signal.SIGTERM, "replicated")
    assert codes == [143, 143], outputs[0][-3000:]
    codes, outputs = stopped(signal.SIGKILL, "sharded")
    assert codes == [1, -9], outputs[0][-3000:]
    assert "UserError: another worker ended: run the same command again on every worker" in outputs[0]
    shutil.copytree(tmp_path / "two.checkpoints", tmp_path / "alone.checkpoints")
    outputs = finish(*two_workers(lambda index: [WORKER, tiny_dataset.folder, tmp_path / "two", "sharded"]))
    assert all("resuming from checkpoint" in text for text in outputs)
    pretrain(configured("one_device"), tiny_dataset, tmp_path / "alone")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "one", "two"]
    one, two, alone = (Embeddings.open(tmp_path / name) for name in ("one", "two", "alone"))
    assert [found.manifest["replicas"] for found in (one, two, alone)] == [1, 2, 1]
    for name in ("user", "item"):
        np.testing.assert_allclose(two.matrix(name), one.matrix(name), rtol=0, atol=1e-4)
        np.testing.assert_allclose(alone.matrix(name), one.matrix(name), rtol=0, atol=1e-4)
    assert two.manifest["epochs"][-1]["heldout_loss"] == pytest.approx(one.manifest["epochs"][-1]["heldout_loss"],
                                                                       abs=1e-5)
