"""Stage II has the same result on 1, 2 and 4 replicas of one machine and on two workers in separate processes."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from processes import finish, signal_once_saved, two_workers
from replica_steps import results
from replicas import assert_replicas_identical, assert_runs_identical, replica_runs

from tfrs_pretrain.config import Config
from tfrs_pretrain.ranking.run import train_arm

SCRIPT = Path(__file__).with_name("replica_steps.py")
WORKER = Path(__file__).with_name("worker_arm.py")


def configured(dataset, strategy, placement="replicated"):
    tree = dataset.info["config"]
    return Config.model_validate(tree | {"training": {"strategy": strategy, "checkpoint_every_steps": 7,
                                                      "placement": placement}})


@pytest.fixture(scope="module")
def runs(planted, tmp_path_factory):
    """Name -> results of one replica, computed in this process, and of the others, computed in subprocesses."""
    return replica_runs(SCRIPT, planted.dataset, tmp_path_factory.mktemp("replicas"), results)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "replicas"), [("2", 2), ("4", 4), ("worker0", 2), ("worker1", 2)])
def test_the_number_of_replicas_changes_nothing(runs, name, replicas):
    one, other = runs["1"], runs[name]
    assert (one["replicas"], other["replicas"]) == (1, replicas)
    for key, expected in one.items():
        if key.startswith("gradient/"):
            assert np.abs(expected).max() > 1e-3
            np.testing.assert_allclose(other[key], expected, rtol=1e-6, atol=1e-6, err_msg=key)
        elif key.startswith("first/"):
            np.testing.assert_allclose(other[key], expected, rtol=0, atol=1e-6, err_msg=key)
        elif key != "replicas":
            np.testing.assert_allclose(other[key], expected, rtol=0, atol=1e-4, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2", "4"])
def test_replicas_stay_bit_identical(runs, name):
    # Of student and teacher: rows, mean and square of 3 and 4 tables, 4 weights each; and as many gradients but slots'.
    # Held tables have a third slot.
    assert_replicas_identical(runs[name], int(name), arrays=3 * 7 + 2 * 4 + 7 + 2 * 4 + 4 * 7 + 2 * 4)


@pytest.mark.slow
def test_workers_stay_bit_identical(runs):
    assert_runs_identical(runs["worker0"], runs["worker1"])


@pytest.mark.slow
def test_two_workers_stop_together_resume_and_equal_one_device(planted, planted_embeddings, tmp_path):
    """The users are sharded, the items in host memory or sharded, and other tables copied."""
    def command(placement):
        return lambda index: [WORKER, planted.dataset.folder, planted_embeddings, tmp_path / "two", placement]

    train_arm(configured(planted.dataset, "one_device"), planted.dataset, "distilled", tmp_path / "one",
              embeddings=planted_embeddings)
    workers = two_workers(command("host"))
    signal_once_saved(workers[1], signal.SIGTERM, tmp_path / "two.checkpoints")
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [143, 143], outputs[0][-3000:]
    outputs = finish(*two_workers(command("sharded")))
    assert all("resuming from checkpoint" in text for text in outputs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    one, two = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("one", "two"))
    assert (one["replicas"], two["replicas"]) == (1, 2)
    for name in ("user", "item", "place"):
        rows = [np.load(tmp_path / run / "tables" / f"{name}.npy") for run in ("one", "two")]
        np.testing.assert_allclose(*rows, rtol=0, atol=1e-4)
    assert two["metrics"]["test"]["auc"] == pytest.approx(one["metrics"]["test"]["auc"], abs=1e-3)
