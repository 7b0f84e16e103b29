"""The memory plan against literal sizes; every suggested fix fits."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.training import memory_check
from tfrs_pretrain.training.devices import Device
from tfrs_pretrain.training.memory_check import check_memory, plan_table, process_peak
from tfrs_pretrain.training.memory_fixes import format_bytes, suggest_fixes
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan, PlanSettings, TableMemory
from tfrs_pretrain.training.process_memory import WorkingMemory, resident_bytes

ROWS = {"user": 1_000_000, "item": 100_000}
COUNTS = {"user": np.repeat([1000, 10, 1], [10_000, 90_000, 899_990]), "item": np.arange(99_000, 0, -1)}


class TwoTables(MemoryPlan):
    """User and item tables, and optionally a component that doubles them."""

    title, optimizer_key, id_spaces = "Memory plan", "stage.optimizer", ("user", "item")

    def __init__(self, optimizer="lazy_adam", dim=64, rows=None, double=False):
        self.settings, self.double = PlanSettings(optimizer, dim, rows or ROWS), double

    def layout(self, settings):
        optimizer, copies = make_optimizer(settings.optimizer), 2 if self.double else 1
        tables = [TableMemory.for_optimizer(f"{name}{copy}", name, settings.dim, optimizer)
                  for name in self.id_spaces for copy in range(copies)]
        return MemoryLayout(settings.num_rows, tuple(tables), dense=0)

    @property
    def working(self):
        return WorkingMemory(num_ids=1_000_000, batch_values=1000 * 64, dim=64, evaluated_values=500)

    def dim_setting(self, dim):
        return f"stage.dim={dim}"

    def without_components(self):
        return [("stage.double=null", TwoTables())] if self.double else []


def bytes_on(plan, device):
    return plan.layout(plan.settings).bytes_on(device)


def gpu(free, replicas=1):
    return Device("GPU:0", int(free), replicas, host=False)


@pytest.mark.parametrize(("optimizer", "width"), [("lazy_adam", 192), ("adagrad", 128), ("rowwise_adagrad", 65)])
def test_bytes_count_rows_width_state_and_copies(optimizer, width):
    plan = TwoTables(optimizer)
    tables = 1_100_000 * width * 4
    assert bytes_on(plan, gpu(0)) == tables
    assert bytes_on(plan, gpu(0, replicas=3)) == 3 * tables
    assert bytes_on(plan, Device("CPU", 0, 2, host=True)) == 2 * tables


def test_networks_count_per_replica():
    tables = [TableMemory(name, name, 64, 1) for name in ROWS]
    layout = MemoryLayout(ROWS, (*tables, TableMemory("anchor", "item", 64, 0)), dense=1000)
    assert layout.bytes_on(gpu(0, replicas=2)) == 2 * (1_100_000 * 65 * 4 + 100_000 * 64 * 4 + 1000)


def test_the_peak_of_the_process_has_its_memory_now_the_hosts_tables_and_what_it_works_in(monkeypatch):
    monkeypatch.setattr(memory_check, "resident_bytes", lambda: 7)
    plan, tables = TwoTables(), 1_100_000 * 192 * 4
    working = 130_000_000 + 40 * 1_000_000 + 4 * (4 * 32768 * 64 + 10 * 64_000 + 500)
    assert plan.working.num_bytes == working
    assert process_peak(plan, [Device("CPU", 0, 2, host=True)]) == 7 + working + 2 * tables
    assert process_peak(plan, [gpu(1e12), gpu(1e12)]) == 7 + working
    text = io.StringIO()
    Console(file=text, width=100).print(plan_table(plan, [gpu(1e12)]))
    assert re.search(r"this process at its peak .* 206.1 MB", text.getvalue())


def test_resident_memory_is_what_the_system_reports():
    before = resident_bytes()
    held = np.ones(1 << 24, np.uint8)
    assert 14e6 < resident_bytes() - before < 40e6
    assert len(held) == 1 << 24
    assert resident_bytes() <= 1.01 * peak_rss_bytes()  # the system counts both in steps


def test_a_tenth_is_reserved_for_batches():
    plan, whole = TwoTables(), 1_100_000 * 192 * 4
    check_memory(plan, [gpu(whole / 0.9 + 1)], COUNTS.get)
    with pytest.raises(UserError, match=r"the tables need 844.8 MB on GPU:0, which has 929.3 MB free"):
        check_memory(plan, [gpu(1e12), gpu(whole / 0.9 * 0.99)], COUNTS.get)


def test_less_state_comes_first_then_rows_of_few_engagements_then_a_smaller_width():
    fixes = list(suggest_fixes(TwoTables(), [gpu(800e6)], COUNTS.get))
    assert fixes[0] == "stage.optimizer=rowwise_adagrad (needs 286.0 MB)"
    assert fixes[1].startswith("schema.user.max_size=837490 or schema.user.min_count=2 and build the dataset again")
    assert fixes[1].endswith("ids with 1.4% of the engagements share rows)")  # 162,500 of 11.8 million
    assert fixes[2] == "stage.dim=48 (needs 633.6 MB)"


def test_components_of_the_method_come_after_rows_and_width():
    fixes = list(suggest_fixes(TwoTables(double=True), [gpu(1e9)], COUNTS.get))
    assert [fix.partition("=")[0] for fix in fixes[:3]] == ["stage.optimizer", "schema.user.max_size", "stage.dim"]
    assert fixes[3] == "stage.double=null (needs 844.8 MB)"


@pytest.mark.parametrize("free", [800e6, 300e6, 100e6, 50e6])
def test_three_fixes_are_suggested_and_each_fits(free):
    with pytest.raises(UserError) as error:
        check_memory(TwoTables(), [gpu(free)], COUNTS.get)
    fixes = str(error.value).split(": set ")[1].split("; or set ")
    assert len(fixes) == 3
    for fix in fixes:
        optimizer = "rowwise_adagrad" if "rowwise_adagrad" in fix else "lazy_adam"
        dim = int(found[1]) if (found := re.search(r"dim=(\d+)", fix)) else 64
        users = int(found[1]) + 10 if (found := re.search(r"max_size=(\d+)", fix)) else ROWS["user"]
        assert bytes_on(TwoTables(optimizer, dim, ROWS | {"user": users}), gpu(0)) <= 0.9 * free
        if found := re.search(r"min_count=(\d+)", fix):
            assert (COUNTS["user"] >= int(found[1])).sum() <= users - 10


def test_a_plan_without_any_fix_needs_a_larger_device():
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


@pytest.mark.parametrize(("count", "text"), [(999, "999 B"), (1000, "1.0 kB"), (844_800_000, "844.8 MB"),
                                             (12.34e9, "12.3 GB")])
def test_bytes_have_decimal_units(count, text):
    assert format_bytes(count) == text


def test_a_width_above_8_is_rounded_down_to_a_multiple_of_8():
    """1.1 million rows of width w need 1.1e6 * 3w * 4 bytes; nine tenths of the device are usable."""
    for width, expected in ((63, 56), (24, 24), (7, 7)):
        free = 1_100_000 * 3 * width * 4 / 0.9 + 1000
        fixes = list(suggest_fixes(TwoTables(), [gpu(free)], COUNTS.get))
        assert any(fix.startswith(f"stage.dim={expected} ") for fix in fixes), (width, fixes)


def test_fewer_rows_come_before_a_smaller_width_only_while_few_engagements_lose_theirs():
    equal = {name: np.full(ROWS[name] - 10, 5) for name in ROWS}
    order = [fix.partition("=")[0] for fix in suggest_fixes(TwoTables("rowwise_adagrad"), [gpu(250e6)], equal.get)]
    assert order == ["stage.dim", "schema.user.max_size"]
    order = [fix.partition("=")[0] for fix in suggest_fixes(TwoTables("rowwise_adagrad"), [gpu(300e6)], COUNTS.get)]
    assert order == ["schema.user.max_size", "stage.dim"]
