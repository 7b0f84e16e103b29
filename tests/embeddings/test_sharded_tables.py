"""Sharded tables and tables in host memory: the same values as one device's, on 2 and 4 replicas in own processes."""

from pathlib import Path

import numpy as np
import pytest
from processes import finish, start
from sharded_runs import OPTIMIZERS, ROWS, all_updates, batches, configured, copied_after, stage_two

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.host import HOST
from tfrs_pretrain.embeddings.placement import REPLICATED
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.training.strategy import build_strategy

SCRIPT = Path(__file__).with_name("sharded_runs.py")


@pytest.fixture(scope="module")
def folder(tiny_dataset, tmp_path_factory):
    """Both stages on one device, and the results of ``sharded_runs``."""
    folder = tmp_path_factory.mktemp("sharded")
    processes = [start([SCRIPT, 4, tiny_dataset.folder, folder])]
    pretrain(configured(1), tiny_dataset, folder / "embeddings")
    with copied_after(3, folder / "ranker from one"):
        stage_two(configured(1), tiny_dataset, folder / "ranker", folder / "embeddings")
    finish(*processes, start([SCRIPT, 2, tiny_dataset.folder, folder]))
    return folder


@pytest.fixture(scope="module")
def host_folder(folder, tiny_dataset):
    """Both stages on one device with tables in host memory."""
    host = folder / "host"
    pretrain(configured(1, "host"), tiny_dataset, host / "embeddings")
    stage_two(configured(1, "host"), tiny_dataset, host / "ranker", folder / "embeddings")
    return host


@pytest.fixture(scope="module")
def one_device():
    return all_updates(build_strategy(TrainingConfig(strategy="one_device")), REPLICATED)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("replicas", [2, 4])
def test_updates_equal_those_of_one_device(folder, one_device, replicas, name):
    found = dict(np.load(folder / f"{replicas}.npz"))
    keys = [key for key in one_device if key.startswith(f"{name}/") and "/copies/" not in key]
    assert len(keys) >= 2 * 3 + 3
    for key in keys:
        np.testing.assert_allclose(found[key], one_device[key], rtol=1e-6, atol=1e-6, err_msg=key)
    # Row r is on replica r % replicas, and nowhere else.
    for replica in range(replicas):
        copy = found[f"{name}/copies/{replica}"]
        assert len(copy) == -(-ROWS // replicas)
        own = found[f"{name}/t_weights"][replica::replicas]
        np.testing.assert_array_equal(copy[:len(own)], own)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
def test_updates_in_host_memory_equal_those_of_one_device(folder, one_device, replicas):
    host = dict(np.load(folder / f"{replicas} host.npz"))
    assert host.keys() == one_device.keys()
    for key, expected in one_device.items():
        np.testing.assert_allclose(host[key], expected, rtol=1e-6, atol=1e-6, err_msg=key)


@pytest.mark.slow
def test_updates_in_host_memory_have_the_same_bits_as_copies(folder):
    host, copies = (dict(np.load(folder / f"2 {name}.npz")) for name in ("host", "copies"))
    assert len(copies) == 2 * 3 + 5 + 2
    for key in copies:
        if "copies/1" not in key:
            np.testing.assert_array_equal(host[f"lazy_adam/{key}"], copies[key], err_msg=key)


def test_updates_in_host_memory_have_the_same_bits_as_on_one_device(one_device):
    host = all_updates(build_strategy(TrainingConfig(strategy="one_device")), HOST)
    assert host.keys() == one_device.keys()
    for key, expected in one_device.items():
        np.testing.assert_array_equal(host[key], expected, err_msg=key)


@pytest.mark.slow
def test_both_stages_end_with_the_same_bits_in_host_memory(folder, host_folder):
    for stage in ("embeddings", "ranker"):
        assert_equal(folder / stage, host_folder / stage)


def test_the_updates_have_repeated_rows_and_padding(one_device):
    ids = batches()[0]
    assert (ids == -1).any()
    assert len(np.unique(ids[0])) < len(ids[0])
    assert (one_device["lazy_adam/t_step"], one_device["adagrad/t_step"]) == (5, 5)  # one of six was not active


def tables(folder):
    """Relative path -> array of all tables of an artifact."""
    return {path.relative_to(folder): np.load(path) for path in folder.rglob("*.npy")}


def assert_equal(one, other, tolerance=0.0):
    expected, found = tables(one), tables(other)
    assert expected.keys() == found.keys() and len(expected) >= 2
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_bits(folder):
    assert_equal(folder / "embeddings sharded", folder / "embeddings resumed")


@pytest.mark.slow
def test_both_stages_train_what_one_device_trains_also_from_its_checkpoint(folder):
    """The ranker of two replicas has a sharded table and one in host memory."""
    assert_equal(folder / "embeddings", folder / "embeddings sharded", tolerance=2e-6)
    assert_equal(folder / "ranker", folder / "ranker from one", tolerance=2e-6)


@pytest.mark.slow
def test_one_device_finishes_a_run_of_two_replicas_in_host_memory(folder, tiny_dataset, capsys):
    pretrain(configured(1, "host"), tiny_dataset, folder / "embeddings from two")
    assert "resuming from checkpoint" in capsys.readouterr().out
    assert_equal(folder / "embeddings", folder / "embeddings from two", tolerance=2e-6)
    assert not list(folder.glob("*.checkpoints"))
