"""Hostile requests to the development server in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_trials import Attack

from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.serving.exporting.export import export

CONFIG = """model_config_list {{ config {{ name: "{name}" base_path: "{folder}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 }} }} version_labels {{ key: "stable" value: 1 }} }} }}"""

MAX_GROWTH = 400 << 20  # bytes; the largest requests have 4 MB of JSON


@pytest.fixture(scope="module")
def version(tmp_path_factory, planted_config, tiny_dataset):
    """Folder of an exported version."""
    folder = tmp_path_factory.mktemp("hostile")
    train_arm(planted_config, tiny_dataset, "scratch", folder / "ranker", embeddings=None)
    return export(planted_config, tiny_dataset, folder / "ranker", folder / "models").path


@pytest.fixture(scope="module")
def rows(version):
    """Valid rows."""
    return json.loads((version / "assets.extra/golden_requests.json").read_text())["instances"]


def peak_memory(pid):
    """Bytes; 0 where the system has no /proc."""
    if not Path("/proc").is_dir():
        return 0
    [kilobytes] = re.findall(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) << 10


@pytest.fixture(scope="module")
def attack(version, rows, outcomes):
    name, config = version.parent.name, version.parents[1] / "models.config"
    config.write_text(CONFIG.format(name=name, folder=version.parent))
    code = "from tfrs_pretrain.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, "serve", "--models-config", config, "--port", "0",
                                "--rest-port", "0"], text=True, stdout=subprocess.PIPE,
                               env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    started = Attack(*re.findall(r"127\.0\.0\.1:\d+", process.stdout.readline()), name, rows, outcomes)
    before = peak_memory(process.pid)
    yield started
    assert process.poll() is None, f"the server ended with {process.returncode}"
    grown = peak_memory(process.pid) - before
    assert grown < MAX_GROWTH, f"the server's memory grew by {grown >> 20} MiB"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


@pytest.mark.parametrize("transport", ["gRPC", "REST"])
def test_hostile_requests_change_nothing(attack, outcomes, campaign_size, transport):
    kind, size = f"hostile {transport} requests", campaign_size(350, 5_000)
    attack.run(kind, transport, range(size))
    outcomes.require_all_held(kind, tried=size)
