"""Sharded tables: the same values as one device's, on 2 and 4 replicas in processes of their own."""

from pathlib import Path

import numpy as np
import pytest
from processes import finish, start
from sharded_runs import OPTIMIZERS, ROWS, all_updates, batches, configured, interrupted_after

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.embeddings.placement import REPLICATED
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.training.strategy import build_strategy

SCRIPT = Path(__file__).with_name("sharded_runs.py")


@pytest.fixture(scope="module")
def folder(tiny_dataset, tmp_path_factory):
    """Results of 2 and 4 replicas; ``one`` and the checkpoints of a run on one device."""
    folder = tmp_path_factory.mktemp("sharded")
    with interrupted_after(3):
        pretrain(configured(1), tiny_dataset, folder / "one")
    processes = [start([SCRIPT, replicas, tiny_dataset.folder, folder]) for replicas in (2, 4)]
    yield folder, [lambda: finish(*processes)]
    for process in processes:
        process.kill()


@pytest.fixture(scope="module")
def one_device():
    """Results of one device."""
    return all_updates(build_strategy(TrainingConfig(strategy="one_device")), REPLICATED)


@pytest.fixture(scope="module")
def finished(folder, one_device):
    folder, waits = folder
    waits[0]()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("replicas", [2, 4])
def test_updates_equal_those_of_one_device(finished, one_device, replicas, name):
    found = dict(np.load(finished / f"{replicas}.npz"))
    keys = [key for key in one_device if key.startswith(f"{name}/") and "/copies/" not in key]
    assert len(keys) >= 2 * 5 + 2
    for key in keys:
        np.testing.assert_allclose(found[key], one_device[key], rtol=0, atol=1e-6, err_msg=key)
    # Row r is on replica r % replicas, and nowhere else.
    for replica in range(replicas):
        copy = found[f"{name}/copies/{replica}"]
        assert len(copy) == -(-ROWS // replicas)
        own = found[f"{name}/t_weights"][replica::replicas]
        np.testing.assert_array_equal(copy[:len(own)], own)


def test_the_updates_move_rows_that_repeat(one_device):
    ids = batches()[0]
    assert (ids == -1).any() and len(np.unique(ids[0])) < len(ids[0])
    assert np.abs(one_device["lazy_adam/t_weights"] - one_device["none/t_weights"]).min() > 1e-3


def tables(folder):
    opened = Embeddings.open(folder)
    return {name: np.array(opened.matrix(name)) for name in ("user", "item")}


def assert_equal(one, other, atol=0.0):
    for name, expected in tables(one).items():
        np.testing.assert_allclose(tables(other)[name], expected, rtol=0, atol=atol, err_msg=name)


@pytest.mark.slow
def test_stage_one_trains_the_same_bits_as_with_copies(finished):
    assert_equal(finished / "2 replicated", finished / "2 sharded")


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_bits(finished):
    assert_equal(finished / "2 sharded", finished / "2 resumed")


@pytest.mark.slow
def test_runs_resume_on_another_number_of_replicas(finished, tiny_dataset, capsys):
    pretrain(configured(1), tiny_dataset, finished / "one from 2")
    assert "resuming from checkpoint" in capsys.readouterr().err
    pretrain(configured(1), tiny_dataset, finished / "one")
    for name in ("one from 2", "2 from one", "2 sharded"):
        assert_equal(finished / "one", finished / name, atol=1e-6)
    assert not list(finished.glob("*.checkpoints"))
