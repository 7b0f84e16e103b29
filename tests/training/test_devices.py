"""Free memory of the machine and of a control group."""

from types import SimpleNamespace

import pytest

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training import devices
from tfrs_pretrain.training.devices import available_ram, has_host_memory, local_devices, planned_devices

MEMINFO = "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:    4000 kB\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 4000 kB available and an empty control group; returns the group's folder."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    monkeypatch.setattr(devices, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(devices, "_CGROUP", tmp_path)
    return tmp_path


def test_memory_of_the_machine(machine):
    assert available_ram() == 4000 * 1024


@pytest.mark.parametrize(("limit", "expected"), [("max", 4000 * 1024), ("1000000", 700_000), ("9000000", 4000 * 1024)])
def test_the_control_group_can_only_lower_it(machine, limit, expected):
    (machine / "memory.max").write_text(f"{limit}\n")
    (machine / "memory.current").write_text("300000\n")
    assert available_ram() == expected


def test_without_meminfo_all_memory_counts(machine, monkeypatch):
    (machine / "meminfo").unlink()
    monkeypatch.setattr(devices.os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.get)
    assert available_ram() == 4_096_000


def test_logical_cpus_share_the_memory(machine):
    device, = local_devices(TrainingConfig(logical_cpus=4))
    assert (device.name, device.free, device.replicas, device.host) == ("CPU", 4000 * 1024, 4, True)


def test_beside_gpus_the_host_is_a_memory_of_its_own(machine, monkeypatch):
    gpus = [SimpleNamespace(name=f"/device:GPU:{number}", memory_limit=1000 + number) for number in range(2)]
    monkeypatch.setattr(devices.tf.config, "list_logical_devices", lambda kind: gpus)
    monkeypatch.setattr(devices.device_lib, "list_local_devices", lambda: gpus)
    found = local_devices(TrainingConfig())
    assert [(device.name, device.free, device.replicas, device.host) for device in found] == [
        ("GPU:0", 1000, 1, False), ("GPU:1", 1001, 1, False), ("the host", 4000 * 1024, 0, True)]
    assert [len(local_devices(TrainingConfig(strategy="one_device"))), has_host_memory(found)] == [2, True]
    assert not has_host_memory(found[:1])


def test_devices_of_another_machine():
    named = [(device.name, device.free, device.replicas) for device in planned_devices(TrainingConfig(), 8, 2, 0.5)]
    assert named == [("device 0", 8 * 10**9, 1), ("device 1", 8 * 10**9, 1), ("the host", 5 * 10**8, 0)]
    assert [device.name for device in planned_devices(TrainingConfig(), 8, 1, None)] == ["the device"]
    assert planned_devices(TrainingConfig(), None, 1, None)[0].name == "CPU"


@pytest.mark.parametrize(("placement", "arguments", "words"), [
    ("replicated", (None, 4, None), "--devices 4 needs the memory of each device: add --device-gb"),
    ("replicated", (None, 1, 12.0), "--host-gb 12 needs the memory of each device: add --device-gb"),
    ({"user": "host"}, (8, 1, None), "add --host-gb")])
def test_a_plan_needs_the_memories_of_its_machine(placement, arguments, words):
    with pytest.raises(UserError, match=words):
        planned_devices(TrainingConfig(placement=placement), *arguments)
