"""Free memory of the machine and of a control group."""

import pytest

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.training import devices
from tfrs_pretrain.training.devices import available_ram, local_devices

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
