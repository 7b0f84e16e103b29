"""The memory plan against literal sizes; every way out that is named fits."""

import re

import numpy as np
import pytest

import tfrs_pretrain  # noqa: F401  (selects Keras 2 for tf.keras before TensorFlow loads)

# isort: split
from tfrs_pretrain.config import Config, TrainingConfig
from tfrs_pretrain.data import planted
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.plan import Layout, check_fits, layout_of, ways_out
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.training.devices import Device, available_ram, local_devices

ROWS = {"user": 1_000_000, "item": 100_000}
COUNTS = {"user": np.repeat([1000, 10, 1], [10_000, 90_000, 899_990]), "item": np.arange(99_000, 0, -1)}


def gpu(free, replicas=1):
    return Device("GPU:0", int(free), replicas, host=False)


@pytest.mark.parametrize(("optimizer", "columns"), [("lazy_adam", 192), ("adagrad", 128), ("rowwise_adagrad", 65)])
def test_need_counts_rows_columns_state_and_copies(optimizer, columns):
    layout = Layout(ROWS, 64, optimizer)
    tables = 1_100_000 * columns * 4
    assert layout.need(gpu(0)) == tables
    assert layout.need(gpu(0, replicas=3)) == 3 * tables
    assert layout.need(Device("CPU", 0, 2, host=True)) == 2 * tables + 1_000_000 * 64 * 4


def test_decay_by_frequency_costs_a_column():
    layout = Layout(ROWS, 64, "lazy_adam", l2=1e-4, rarity_power=0.5)
    assert layout.need(gpu(0)) == 1_100_000 * 193 * 4


def test_a_tenth_is_left_to_batches():
    layout = Layout(ROWS, 64, "lazy_adam")
    need = 1_100_000 * 192 * 4
    check_fits(layout, [gpu(need / 0.9 + 1)], COUNTS.get)
    with pytest.raises(UserError, match=r"the tables need 844.8 MB on GPU:0, which has 929.3 MB free"):
        check_fits(layout, [gpu(1e12), gpu(need / 0.9 * 0.99)], COUNTS.get)


def test_state_goes_first_then_rows_that_few_engagements_need_then_columns():
    ways = list(ways_out(Layout(ROWS, 64, "lazy_adam"), [gpu(800e6)], COUNTS.get))
    assert ways[0] == "pretraining.optimizer=rowwise_adagrad (needs 286.0 MB)"
    assert ways[1].startswith("schema.user.max_size=837490 or schema.user.min_count=2 and build the dataset again")
    assert ways[1].endswith("ids with 1.4% of the engagements share rows)")  # 162,500 of 11.8 million
    assert ways[2] == "pretraining.dim=48 (needs 633.6 MB)"


@pytest.mark.parametrize("free", [800e6, 300e6, 100e6, 50e6])
def test_three_ways_are_named_and_each_fits(free):
    with pytest.raises(UserError) as error:
        check_fits(Layout(ROWS, 64, "lazy_adam"), [gpu(free)], COUNTS.get)
    ways = str(error.value).split(": set ")[1].split("; or set ")
    assert len(ways) == 3
    for way in ways:
        optimizer = "rowwise_adagrad" if "rowwise_adagrad" in way else "lazy_adam"
        dim = int(found[1]) if (found := re.search(r"dim=(\d+)", way)) else 64
        users = int(found[1]) + 10 if (found := re.search(r"max_size=(\d+)", way)) else ROWS["user"]
        assert Layout(ROWS | {"user": users}, dim, optimizer).need(gpu(0)) <= 0.9 * free
        if found := re.search(r"min_count=(\d+)", way):
            assert (COUNTS["user"] >= int(found[1])).sum() <= users - 10


def test_hopeless_plan_says_so():
    with pytest.raises(UserError, match="use a larger device"):
        check_fits(Layout(ROWS, 64, "rowwise_adagrad"), [gpu(1000)], lambda name: np.ones(ROWS[name], int))


def test_logical_cpus_share_the_memory():
    device, = local_devices(TrainingConfig(logical_cpus=4))
    assert (device.replicas, device.host) == (4, True)
    assert device.free == pytest.approx(available_ram(), rel=0.2)


def test_training_starts_only_where_it_fits(tiny_dataset, tmp_path, monkeypatch):
    config = Config.model_validate(planted.planted_config())
    assert layout_of(config, tiny_dataset) == Layout(
        {name: tiny_dataset.rows(name) for name in ("user", "item")}, 8, "lazy_adam")
    monkeypatch.setattr("tfrs_pretrain.pretraining.run.local_devices", lambda training: (gpu(9000),))
    with pytest.raises(UserError, match=r"the tables need .* on GPU:0, which has 9.0 kB free"):
        pretrain(config, tiny_dataset, tmp_path / "e")
    assert list(tmp_path.iterdir()) == []
