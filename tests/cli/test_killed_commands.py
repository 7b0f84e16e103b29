"""Commands that are killed at the end of their work succeed when they are started again, and repeat none of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted_config
from processes import finish, start

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings

SCRIPT = Path(__file__).parents[1] / "killed_command.py"
KEPT = "kept: it is the finished output of the same command"

pytestmark = pytest.mark.slow


def kill(moment, *arguments):
    process = start([SCRIPT, moment, *arguments])
    output = process.communicate(timeout=300)[0]
    assert process.returncode == -9, output[-2000:]


def run(*arguments):
    [output] = finish(start([SCRIPT, "never", *arguments]))
    return " ".join(output.split())


def test_a_killed_dataset_command(planted_logs, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(planted_config()))
    command = ["dataset", "--config", tmp_path / "config.yaml", "--raw", planted_logs, "--output", tmp_path / "out"]
    kill("after", *command)
    first = (tmp_path / "out" / "dataset_info.json").stat().st_mtime_ns
    assert KEPT in run(*command)
    assert (tmp_path / "out" / "dataset_info.json").stat().st_mtime_ns == first
    kill("before", *command, "--overwrite")
    assert (tmp_path / "out" / "dataset_info.json").stat().st_mtime_ns == first
    assert len(list(tmp_path.iterdir())) == 3
    assert KEPT in run(*command)
    Dataset.open(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "out"]


def test_a_killed_pretrain_command(tiny_dataset, tmp_path):
    output = tmp_path / "out"
    command = ["pretrain", "--dataset", tiny_dataset.folder, "--output", output, "--set", "pretraining.epochs=1"]
    kill("after", *command)
    rows = Embeddings.open(output).matrix("item")
    assert (tmp_path / "out.checkpoints").is_dir()
    assert KEPT in run(*command)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    kill("before", *command, "--overwrite")
    assert "resuming from checkpoint" in run(*command, "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    np.testing.assert_array_equal(Embeddings.open(output).matrix("item"), rows)
    assert json.loads((output / "manifest.json").read_text())["kept_epoch"] == 1
