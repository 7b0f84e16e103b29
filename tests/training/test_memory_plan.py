"""The memory plan against literal sizes; every way out that is named fits."""

import io
import re

import numpy as np
import pytest

import tfrs_pretrain  # noqa: F401  (selects Keras 2 for tf.keras before TensorFlow loads)

# isort: split
from rich.console import Console

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.devices import Device, available_ram, local_devices
from tfrs_pretrain.training.memory_check import check_memory, plan_table
from tfrs_pretrain.training.memory_fixes import suggest_fixes
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan, PlanSettings, TableMemory

ROWS = {"user": 1_000_000, "item": 100_000}
COUNTS = {"user": np.repeat([1000, 10, 1], [10_000, 90_000, 899_990]), "item": np.arange(99_000, 0, -1)}


class TwoTables(MemoryPlan):
    """User and item tables, each drawn alone, and perhaps a part that doubles them."""

    title, optimizer_key, id_spaces = "Memory plan", "stage.optimizer", ("user", "item")

    def __init__(self, optimizer="lazy_adam", dim=64, rows=None, double=False):
        self.settings, self.double = PlanSettings(optimizer, dim, rows or ROWS), double

    def layout(self, settings):
        rule, copies = make_optimizer(settings.optimizer), 2 if self.double else 1
        tables = [TableMemory.for_optimizer(f"{name}{copy}", name, settings.dim, rule, f"{name}{copy}")
                  for name in self.id_spaces for copy in range(copies)]
        return MemoryLayout(settings.num_rows, tuple(tables), dense=0)

    def dim_setting(self, dim):
        return f"stage.dim={dim}"

    def without_components(self):
        return [("stage.double=null", TwoTables())] if self.double else []


def need(plan, device):
    return plan.layout(plan.settings).bytes_on(device)


def gpu(free, replicas=1):
    return Device("GPU:0", int(free), replicas, host=False)


@pytest.mark.parametrize(("optimizer", "columns"), [("lazy_adam", 192), ("adagrad", 128), ("rowwise_adagrad", 65)])
def test_need_counts_rows_columns_state_and_copies(optimizer, columns):
    plan = TwoTables(optimizer)
    tables = 1_100_000 * columns * 4
    assert need(plan, gpu(0)) == tables
    assert need(plan, gpu(0, replicas=3)) == 3 * tables
    assert need(plan, Device("CPU", 0, 2, host=True)) == 2 * tables + 1_000_000 * 64 * 4


def test_networks_count_for_each_replica_and_tables_of_one_owner_are_drawn_together():
    tables = [TableMemory(name, name, 64, 1, "student") for name in ROWS]
    layout = MemoryLayout(ROWS, (*tables, TableMemory("anchor", "item", 64, 0, "anchor")), dense=1000)
    assert layout.bytes_on(gpu(0, replicas=2)) == 2 * (1_100_000 * 65 * 4 + 100_000 * 64 * 4 + 1000)
    assert layout.bytes_on(Device("CPU", 0, 1, host=True)) - layout.bytes_on(gpu(0)) == 1_100_000 * 64 * 4


def test_a_tenth_is_left_to_batches():
    plan, whole = TwoTables(), 1_100_000 * 192 * 4
    check_memory(plan, [gpu(whole / 0.9 + 1)], COUNTS.get)
    with pytest.raises(UserError, match=r"the tables need 844.8 MB on GPU:0, which has 929.3 MB free"):
        check_memory(plan, [gpu(1e12), gpu(whole / 0.9 * 0.99)], COUNTS.get)


def test_state_goes_first_then_rows_that_few_engagements_need_then_columns():
    ways = list(suggest_fixes(TwoTables(), [gpu(800e6)], COUNTS.get))
    assert ways[0] == "stage.optimizer=rowwise_adagrad (needs 286.0 MB)"
    assert ways[1].startswith("schema.user.max_size=837490 or schema.user.min_count=2 and build the dataset again")
    assert ways[1].endswith("ids with 1.4% of the engagements share rows)")  # 162,500 of 11.8 million
    assert ways[2] == "stage.dim=48 (needs 633.6 MB)"


def test_parts_of_the_method_go_after_rows_and_columns():
    ways = list(suggest_fixes(TwoTables(double=True), [gpu(1e9)], COUNTS.get))
    assert [way.partition("=")[0] for way in ways[:3]] == ["stage.optimizer", "schema.user.max_size", "stage.dim"]
    assert ways[3] == "stage.double=null (needs 844.8 MB)"


@pytest.mark.parametrize("free", [800e6, 300e6, 100e6, 50e6])
def test_three_ways_are_named_and_each_fits(free):
    with pytest.raises(UserError) as error:
        check_memory(TwoTables(), [gpu(free)], COUNTS.get)
    ways = str(error.value).split(": set ")[1].split("; or set ")
    assert len(ways) == 3
    for way in ways:
        optimizer = "rowwise_adagrad" if "rowwise_adagrad" in way else "lazy_adam"
        dim = int(found[1]) if (found := re.search(r"dim=(\d+)", way)) else 64
        users = int(found[1]) + 10 if (found := re.search(r"max_size=(\d+)", way)) else ROWS["user"]
        assert need(TwoTables(optimizer, dim, ROWS | {"user": users}), gpu(0)) <= 0.9 * free
        if found := re.search(r"min_count=(\d+)", way):
            assert (COUNTS["user"] >= int(found[1])).sum() <= users - 10


def test_hopeless_plan_says_so():
    with pytest.raises(UserError, match="use a larger device"):
        check_memory(TwoTables("rowwise_adagrad"), [gpu(1000)], lambda name: np.ones(ROWS[name], int))


def test_small_tables_share_a_line():
    plan = TwoTables(rows=ROWS | {"item": 1000})
    text = io.StringIO()
    Console(file=text, width=100).print(plan_table(plan, [gpu(1e9, replicas=2)]))
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert ["│", "user0", "│", "1,000,000", "x", "64", "│", "256.0", "MB", "│", "512.0", "MB", "│", "768.0", "MB",
            "│"] in lines
    assert ["│", "1", "smaller", "│", "│", "256.0", "kB", "│", "512.0", "kB", "│", "768.0", "kB", "│"] in lines
    assert "on GPU:0" in text.getvalue()


def test_logical_cpus_share_the_memory():
    device, = local_devices(TrainingConfig(logical_cpus=4))
    assert (device.replicas, device.host) == (4, True)
    assert device.free == pytest.approx(available_ram(), rel=0.2)
