"""The devices of a run and their free memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow.python.client import device_lib

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


@dataclasses.dataclass(frozen=True)
class Device:
    """One memory, and the replicas that share it.

    Attributes:
      name: for display.
      free: bytes that the run can use.
      replicas: copies of the tables that it must store; 0 for the host's memory beside devices that have their own.
      host: whether it is the CPU's memory, where tables are initialised and artifacts written.
    """

    name: str
    free: int
    replicas: int
    host: bool


def local_devices(config: TrainingConfig) -> tuple[Device, ...]:
    """The memories in which this process would train, without starting a strategy; beside GPUs, also the host's."""
    gpus = tf.config.list_logical_devices("GPU") if config.logical_cpus == 1 else []
    if config.strategy == "one_device":
        gpus = gpus[:1]
    if not gpus:
        return (Device("CPU", available_ram(), config.logical_cpus, host=True),)
    limits = {device.name: int(device.memory_limit) for device in device_lib.list_local_devices()}
    return (*(Device(gpu.name.removeprefix("/device:"), limits[gpu.name], 1, host=False) for gpu in gpus),
            _host_memory(available_ram()))


def planned_devices(config: TrainingConfig, device_gb: float | None, count: int,
                    host_gb: float | None) -> tuple[Device, ...]:
    """The memories to plan for: this machine's, or those of another one.

    Args:
      config: as for ``local_devices``.
      device_gb: memory of each device with one replica, in 10^9 bytes; None for this machine.
      count: number of these devices.
      host_gb: memory of their host; None if it is not known.

    Raises:
      UserError: the memory of the devices, or of the host of tables in host memory, is not known.
    """
    if device_gb is None and (count > 1 or host_gb is not None):
        given = f"--devices {count}" if count > 1 else f"--host-gb {host_gb:g}"
        raise UserError(f"{given} needs the memory of each device: add --device-gb")
    if device_gb is None:
        return local_devices(config)
    if host_gb is None and "host" in config.named_placements:
        raise UserError("training.placement has tables in host memory, but --device-gb is the memory of a device only: "
                        "add --host-gb")
    names = [f"device {number}" for number in range(count)] if count > 1 else ["the device"]
    host = () if host_gb is None else (_host_memory(int(host_gb * 1e9)),)
    return (*(Device(name, int(device_gb * 1e9), 1, host=False) for name in names), *host)


def has_host_memory(devices: Sequence[Device]) -> bool:
    """Whether the host's memory is another one than that of the replicas."""
    return any(device.host and not device.replicas for device in devices)


def available_ram() -> int:
    """Bytes that this process can still allocate: the machine's, or what its control group's limit leaves."""
    if not _MEMINFO.is_file():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = _CGROUP / "memory.max", _CGROUP / "memory.current"
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit():
        free = min(free, int(text) - int(used.read_text()))
    return free


def _host_memory(free: int) -> Device:
    return Device("the host", free, 0, host=True)
