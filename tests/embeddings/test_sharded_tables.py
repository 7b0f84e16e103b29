"""Sharded tables: the same values as one device's, on 2 and 4 replicas in processes of their own."""

from pathlib import Path

import numpy as np
import pytest
from processes import finish, start
from sharded_runs import OPTIMIZERS, ROWS, all_updates, batches, configured, interrupted_after, stage_two

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.placement import REPLICATED
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.training.strategy import build_strategy

SCRIPT = Path(__file__).with_name("sharded_runs.py")
STAGES = ("embeddings", "ranker")


@pytest.fixture(scope="module")
def folder(tiny_dataset, tmp_path_factory):
    """Updates of 2 and 4 replicas, and the runs of ``sharded_runs``: Stage I on 2 replicas, Stage II on 4."""
    folder = tmp_path_factory.mktemp("sharded")
    with interrupted_after(3):
        pretrain(configured(1), tiny_dataset, folder / "embeddings")
    processes = [start([SCRIPT, 2, tiny_dataset.folder, folder])]
    start_embeddings = configured(1).model_copy(update={"pretraining": configured(1).pretraining.model_copy(
        update={"epochs": 1})})
    pretrain(start_embeddings, tiny_dataset, folder / "start")
    with interrupted_after(3):
        stage_two(configured(1), tiny_dataset, folder / "ranker", folder / "start")
    finish(*processes, start([SCRIPT, 4, tiny_dataset.folder, folder]))
    return folder


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
@pytest.mark.parametrize("stage", STAGES)
def test_sharded_tables_end_with_the_same_bits_as_copies(folder, stage):
    assert_equal(folder / f"{stage} replicated", folder / f"{stage} sharded")


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_resumed_run_ends_with_the_same_bits(folder, stage):
    assert_equal(folder / f"{stage} sharded", folder / f"{stage} resumed")


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_runs_resume_on_another_number_of_replicas(folder, tiny_dataset, stage, capsys):
    for name in (stage, f"{stage} from many"):
        if stage == "ranker":
            stage_two(configured(1), tiny_dataset, folder / name, folder / "start")
        else:
            pretrain(configured(1), tiny_dataset, folder / name)
        assert "resuming from checkpoint" in capsys.readouterr().out
    for name in ("from many", "from one", "sharded"):
        assert_equal(folder / stage, folder / f"{stage} {name}", tolerance=2e-6)
    assert not list(folder.glob(f"{stage}*.checkpoints"))
