"""Which tables are sharded, the line that says why, and the memory of a device by hand."""

import dataclasses
import io

import pytest
from rich.console import Console
from test_memory_plan import COUNTS, ROWS, TwoTables

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.host import HOST
from tfrs_pretrain.embeddings.sharded import Sharded
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.devices import Device
from tfrs_pretrain.training.memory_check import check_memory, plan_table
from tfrs_pretrain.training.table_placement import make_placements, place_tables

USER, ITEM = 192 * 4_000_000, 192 * 400_000  # bytes of weights and state


class Planned(TwoTables):
    """The tables of ``TwoTables`` by their names in the configuration."""

    def layout(self, settings):
        layout = super().layout(settings)
        tables = tuple(dataclasses.replace(table, name=table.vocabulary) for table in layout.tables)
        return dataclasses.replace(layout, tables=tables, sharded=settings.sharded, replicas=settings.replicas,
                                   host=settings.host)


def gpus(free, count=4):
    return [Device(f"GPU:{number}", int(free), 1, host=False) for number in range(count)]


def with_host(devices, free=1e12):
    return [*devices, Device("the host", int(free), 0, host=True)]


def placed(placement, devices, **training):
    plan = Planned()
    place_tables(plan, TrainingConfig(placement=placement, **training), devices)
    return plan


def bytes_on(plan, device):
    return plan.layout(plan.settings).bytes_on(device)


@pytest.mark.parametrize(("placement", "expected"), [
    ("replicated", USER + ITEM), ("sharded", (USER + ITEM) // 4), ({"user": "sharded"}, USER // 4 + ITEM)])
def test_a_device_has_its_part_of_a_sharded_table(placement, expected):
    devices = gpus(1e10)
    assert bytes_on(placed(placement, devices), devices[0]) == expected


def test_replicas_on_one_device_store_a_sharded_table_once():
    cpu = Device("CPU", int(1e10), 4, host=False)
    assert bytes_on(placed("sharded", [cpu]), cpu) == USER + ITEM
    assert bytes_on(placed("replicated", [cpu]), cpu) == 4 * (USER + ITEM)


def test_a_shard_is_as_large_as_the_largest():
    plan = Planned(rows={"user": 10, "item": 4})
    place_tables(plan, TrainingConfig(placement="sharded"), gpus(1e10))
    assert bytes_on(plan, gpus(1)[0]) == (3 + 1) * 192 * 4


@pytest.mark.parametrize(("free", "sharded"), [
    (1e9, set()), ((USER / 4 + ITEM) / 0.9 + 1, {"user"}), ((USER / 4 + ITEM) / 0.9 - 9, {"user", "item"}),
    (1e6, {"user", "item"})])
def test_auto_shards_the_largest_tables_until_they_fit(free, sharded):
    plan = placed("auto", gpus(free))
    assert plan.settings.sharded == sharded
    [note] = plan.notes
    names = ", ".join(sorted(sharded, reverse=True))
    assert note.startswith(
        f"placement auto: {names} sharded over 4 replicas, because a copy on each needs" if sharded else
        "placement auto: user, item replicated, because a copy on each replica fits")
    assert "844.8 MB on GPU:0" in note


@pytest.mark.parametrize(("count", "free", "host", "sharded"), [
    (4, USER / 4 + ITEM, (), ("user", "item")),
    (4, ITEM, ("user",), ("item",)), (4, 1.2 * ITEM, ("user",), ()), (4, 1000, ("user", "item"), ()),
    (1, USER, ("user",), ()), (1, 1000, ("user", "item"), ())])
def test_auto_moves_the_largest_tables_to_the_host_where_shards_do_not_fit(count, free, host, sharded):
    devices = with_host(gpus(free, count))
    plan = placed("auto", devices)
    assert (plan.settings.host, plan.settings.sharded) == (frozenset(host), frozenset(sharded))
    [note] = plan.notes
    shards = "item sharded over 4 replicas, " if sharded else ""
    reason = "shards of all tables need 211.2 MB" if count > 1 else "a copy on the device needs 844.8 MB"
    if host:
        assert note.startswith(f"placement auto: {', '.join(host)} in host memory, {shards}because {reason} on GPU:0")
    check_memory(plan, devices, COUNTS.__getitem__)


def test_auto_shards_where_no_placement_fits():
    assert placed("auto", with_host(gpus(1000), free=1000)).settings.sharded == {"user", "item"}
    assert placed("auto", with_host(gpus(1000), free=1000)).settings.host == set()


def test_the_host_has_its_tables_once_and_the_initial_rows_of_the_largest():
    devices = with_host(gpus(1e10))
    plan = placed({"user": "host", "item": "sharded"}, devices)
    initial = 64 * 4_000_000
    assert [bytes_on(plan, device) for device in devices[-2:]] == [ITEM // 4, USER + initial]
    assert [bytes_on(placed("replicated", devices), device) for device in devices[-2:]] == [USER + ITEM, initial]
    cpu = Device("CPU", int(1e10), 4, host=True)
    assert bytes_on(placed("host", [cpu]), cpu) == USER + ITEM + initial


def test_auto_leaves_named_tables_alone():
    plan = placed({"user": "replicated", "item": "auto"}, gpus(1e6))
    assert plan.settings.sharded == {"item"}


@pytest.mark.parametrize(("devices", "training"), [(gpus(1, 1), {}), (gpus(1), {"strategy": "multi_worker"})])
def test_one_replica_in_a_process_has_all_rows(devices, training):
    plan = placed("auto", devices, **training)
    assert (plan.settings.sharded, plan.settings.replicas) == (frozenset(), 1)
    assert plan.notes == ("placement auto: user, item replicated, because there is one replica per process",)
    assert placed("replicated", devices, **training).notes == ()


def test_a_plan_that_does_not_fit_names_sharding_first():
    devices = gpus(4e8)
    with pytest.raises(UserError, match=r"844.8 MB on GPU:0.*: set training.placement=sharded \(needs 211.2 MB\)"):
        check_memory(placed("replicated", devices), devices, COUNTS.__getitem__)
    check_memory(placed("sharded", devices), devices, COUNTS.__getitem__)


def test_the_plan_shows_every_placement():
    devices = gpus(1e10, 2)
    console = Console(file=io.StringIO(), width=120)
    console.print(plan_table(placed({"user": "sharded"}, devices), devices))
    lines = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in console.file.getvalue().splitlines()]
    texts = {line[0]: line[-1] for line in lines}
    assert texts["user (sharded)"] == "768.0 MB"
    assert texts["item"] == "76.8 MB"
    assert texts["on GPU:1"] == "460.8 MB"
    assert texts["if all tables are replicated"] == "844.8 MB"
    assert texts["if all tables are sharded"] == "422.4 MB"


def test_a_plan_that_fits_the_host_only_names_it_first():
    devices = with_host(gpus(1e8))
    with pytest.raises(UserError, match=r"844.8 MB on GPU:0.*: set training.placement=host \(needs 1.1 GB\)"):
        check_memory(placed("replicated", devices), devices, COUNTS.__getitem__)


def test_the_plan_shows_the_host():
    devices = with_host(gpus(1e10, 1))
    console = Console(file=io.StringIO(), width=120)
    console.print(plan_table(placed({"user": "host"}, devices), devices))
    lines = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in console.file.getvalue().splitlines()]
    assert ["user (host)", "1,000,000 x 64", "256.0 MB", "512.0 MB", "768.0 MB"] in lines
    assert ["on the host", "", "", "of 1000.0 GB free", "1.0 GB"] in lines
    assert [line[-1] for line in lines if line[0] == "if all tables are in host memory"] == ["0 B", "1.1 GB"]
    assert [line[-1] for line in lines if line[0] == "if all tables are replicated"] == ["844.8 MB", "256.0 MB"]


class Replicas:
    def __init__(self, count):
        self.num_replicas_in_sync = count


def test_placements_of_a_strategy():
    plan = placed({"user": "sharded"}, gpus(1e10))
    [(name, placement)] = make_placements(plan, Replicas(4)).items()
    assert (name, type(placement), placement.stored_rows(ROWS["user"])) == ("user", Sharded, 250_000)
    assert make_placements(plan, Replicas(1)) == {}
    assert make_placements(placed({"item": "host"}, gpus(1e10)), Replicas(1)) == {"item": HOST}
