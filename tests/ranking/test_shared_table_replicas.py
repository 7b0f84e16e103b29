"""Two replicas equal one for tables that feed several inputs, also under XLA and in float16."""

from pathlib import Path

import numpy as np
import pytest
from processes import finish, start

SCRIPT = Path(__file__).with_name("shared_table_steps.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    finish(*(start([SCRIPT, cpus, folder / f"{cpus}.npz"]) for cpus in (1, 2)))
    return [dict(np.load(folder / f"{cpus}.npz")) for cpus in (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "tolerance"), [("plain", 1e-4), ("xla", 1e-4), ("float16", 0.02)])
def test_two_replicas_equal_one(runs, setting, tolerance):
    one, two = runs
    names = [name for name in one if name.startswith(f"{setting}/")]
    assert len(names) > 20
    for name in names:
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.slow
def test_replicas_stay_bit_identical(runs):
    _, two = runs
    for name in (name for name in two if name.endswith("/0")):
        np.testing.assert_array_equal(two[name], two[f"{name[:-1]}1"], err_msg=name)


@pytest.mark.slow
def test_sharded_tables_of_histories_and_multi_valued_features_end_with_the_same_bits_as_copies(runs):
    for run in runs:
        for name in ("user", "item", "tags"):
            np.testing.assert_array_equal(run[f"sharded/{name}/rows"], run[f"plain/{name}/rows/0"], err_msg=name)


@pytest.mark.slow
def test_an_overflow_halves_the_scale_at_every_step_on_any_number_of_replicas(runs):
    assert [run["overflow/scale"] for run in runs] == [2.0**114, 2.0**114]
