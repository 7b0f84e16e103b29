"""Description of the machine in manifests."""

import importlib.metadata
import json
import os

from tfrs_pretrain import machine as module
from tfrs_pretrain.machine import machine


def test_cores_memory_and_versions_are_those_of_this_process():
    described = machine()
    assert described["cores"] == len(os.sched_getaffinity(0))
    assert described["memory_bytes"] > 2**28
    assert described["tensorflow"] == importlib.metadata.version("tensorflow")
    assert described["tensorflow-recommenders"] == "0.7.7"
    assert json.loads(json.dumps(described)) == described


def test_the_processor_is_the_first_one_named(tmp_path, monkeypatch):
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nmodel name\t: Fast One: 3 GHz\nprocessor\t: 1\nmodel name\t: Other\n")
    monkeypatch.setattr(module, "Path", lambda _: listing)
    assert machine()["processor"] == "Fast One: 3 GHz"


def test_gpus_are_those_of_the_driver(tmp_path, monkeypatch):
    for address in ("0000:01:00.0", "0000:02:00.0"):
        report = tmp_path / "gpus" / address / "information"
        report.parent.mkdir(parents=True)
        report.write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 16\n")
    monkeypatch.setattr(module, "_DRIVER", tmp_path)
    assert machine()["gpus"] == ["NVIDIA H200", "NVIDIA H200"]


def test_a_system_that_reports_nothing_is_no_error(tmp_path, monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(module, "Path", lambda _: tmp_path / "absent")
    monkeypatch.setattr(module.platform, "processor", lambda: "")
    monkeypatch.setattr(module.platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(module.os, "sysconf", unknown)
    monkeypatch.delattr(module.os, "sched_getaffinity")
    monkeypatch.setattr(module, "version", lambda name: (_ for _ in ()).throw(module.PackageNotFoundError(name)))
    described = machine()
    assert (described["processor"], described["memory_bytes"], described["tensorflow"]) == ("riscv64", None, None)
    assert described["cores"] == os.cpu_count()
