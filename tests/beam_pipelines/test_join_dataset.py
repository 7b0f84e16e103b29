"""The outputs of the three jobs joined into one dataset."""

import json

import pytest
import yaml
from folder_contents import folder_contents
from planted import planted_config as planted_tree
from resealed import rewrite

from beam_pipelines import build_impressions, build_pairs, build_vocabulary
from beam_pipelines.join_dataset import main
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.data.dataset import Dataset


@pytest.fixture(scope="module")
def parts(planted_logs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    (folder / "config.yaml").write_text(yaml.safe_dump(planted_tree()))
    inputs = [f"--config={folder / 'config.yaml'}", f"--raw={planted_logs}"]
    build_vocabulary.run([*inputs, f"--output={folder / 'vocabulary'}"])
    for name, job in (("pairs", build_pairs), ("impressions", build_impressions)):
        job.run([*inputs, f"--vocabulary={folder / 'vocabulary'}", f"--output={folder / name}"])
    return folder


def _arguments(parts, output, **changes):
    folders = {name: parts / name for name in ("vocabulary", "pairs", "impressions")} | changes
    return [*(f"--{name}={folder}" for name, folder in folders.items()), f"--output={output}"]


def test_the_bytes_equal_those_of_build_dataset(parts, tiny_dataset, tmp_path):
    assert main(_arguments(parts, tmp_path / "out")) == 0
    assert folder_contents(tmp_path / "out") == folder_contents(tiny_dataset.folder)
    assert Dataset.open(tmp_path / "out").info == tiny_dataset.info


def test_parts_of_different_datasets_are_refused(parts, tmp_path, capsys):
    other = tmp_path / "pairs"
    other.mkdir()
    info = json.loads((parts / "pairs" / DATASET_INFO).read_text())
    info["config"]["windows"]["pretrain"]["end"] = 19
    rewrite(other / DATASET_INFO, info)
    mistakes = {"differ first in config.windows.pretrain.end (20 there, 19 here)": {"pairs": other},
                "has kind 'pairs', expected 'impressions'": {"impressions": other},
                "has no readable dataset_info.json": {"vocabulary": parts / "vocabulary" / "vocabulary"}}
    for words, changes in mistakes.items():
        assert main(_arguments(parts, tmp_path / "out", **changes)) == 2
        errors = capsys.readouterr().err
        assert words in errors
        assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()
