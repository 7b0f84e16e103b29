import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfrs_pretrain.ranking.build import build_learner

SCRIPT = Path(__file__).with_name("replica_steps.py")


def trained(planted, folder, replicas):
    """What the script saved; each strategy needs its own process."""
    output = folder / f"{replicas}.npz"
    command = [sys.executable, str(SCRIPT), str(planted.dataset.folder), str(replicas), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(output))


@pytest.fixture(scope="module")
def runs(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    return trained(planted, folder, 1), trained(planted, folder, 2)


@pytest.mark.slow
def test_two_replicas_learn_what_one_learns(runs):
    one, two = runs
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_replicas_stay_bit_identical(runs):
    _, two = runs
    first = [name for name in two if name.endswith("/0")]
    assert len(first) == 3 + 4 + 2 * 4  # tables of student and teacher, two dense layers each
    for name in first:
        np.testing.assert_array_equal(two[name], two[name[:-1] + "1"], err_msg=name)


@pytest.mark.slow
def test_the_steps_moved_every_table_and_weight(runs, planted, config):
    arm = config.ranking.arms["scratch"]
    for role in ("student", "teacher"):
        start = build_learner(config.ranking, planted.dataset, arm, None, hidden=(8,), seed=3,
                              privileged=role == "teacher").ranker
        for name, table in start.tables.items():
            assert np.abs(runs[0][f"{role}/{name}/0"] - table.numpy()).max() > 1e-3
        for index, weights in enumerate(start.network.get_weights()):
            assert np.abs(runs[0][f"{role}/w{index}/0"] - weights).max() > 1e-3
