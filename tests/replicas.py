"""Checks of both stages on several replicas: run a script on 1, 2 and 4 replicas and on two workers, and compare."""

import numpy as np
from processes import finish, start, two_workers

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.training.strategy import build_strategy


def replica_runs(script, dataset, folder, results):
    """Run name -> arrays: ``results`` on one replica in this process, and what the script saved for the others.

    Names: "1", "2" and "4" for that many replicas in one process, "worker0" and "worker1" for two processes.
    """
    finish(*(start([script, dataset.folder, cpus, folder / f"{cpus}.npz"]) for cpus in (2, 4)))
    finish(*two_workers(lambda index: [script, dataset.folder, "worker", folder / f"worker{index}.npz"]))
    saved = {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")}
    return saved | {"1": results(build_strategy(TrainingConfig(strategy="one_device")), dataset)}


def assert_replicas_identical(run, replicas, *, arrays):
    """Each of the ``arrays`` that a run saved of its first replica is bit-identical on every other replica."""
    first = [key for key in run if key.endswith("/0")]
    assert len(first) == arrays
    for key in first:
        for replica in range(replicas):
            np.testing.assert_array_equal(run[key], run[f"{key[:-1]}{replica}"], err_msg=key)


def assert_runs_identical(one, other):
    """Both runs saved the same, bit-identical arrays."""
    assert one.keys() == other.keys()
    for key, expected in one.items():
        np.testing.assert_array_equal(other[key], expected, err_msg=key)
