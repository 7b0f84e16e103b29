"""Runs the tutorial's files and commands exactly as shown, except blocks that are marked as not tested.

Its two ports are exchanged for free ones, so that nothing else on the machine matters.
"""

import json
import re
import shlex
from pathlib import Path

import pytest
from processes import two_free_ports
from typed_pages import BLOCK, blocks, type_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Returns a folder after all steps of the page, and the output."""
    folder = tmp_path_factory.mktemp("tutorial")
    return folder, type_page(PAGE.read_text(), folder, zip(("28500", "28501"), two_free_ports(), strict=True))


def test_only_the_docker_command_is_skipped():
    left_out = [text for skipped, _, _, text in BLOCK.findall(PAGE.read_text()) if skipped]
    assert len(left_out) == 1
    assert left_out[0].startswith("docker run")
    tested = [shlex.split(line)[1] for language, _, text in blocks(PAGE.read_text()) if language == "sh"
              for line in text.splitlines() if line.startswith("tfrs-pretrain")]
    assert tested == ["config", "dataset", "plan-memory", "diagnose", "pretrain", "train-ranker",
                      "train-ranker", "evaluate", "tune", "export", "promote", "serve", "verify-server", "query",
                      "index", "recommend"]


@pytest.mark.slow
def test_pretraining_improves_auc_as_documented(followed):
    folder, _ = followed
    [everything] = [part for part in json.loads((folder / "runs" / "comparison.json").read_text())["parts"]
                    if part["slicing"] == "all"]
    assert everything["differences"]["model"]["auc"]["low"] > 0.05


@pytest.mark.slow
def test_the_race_decides_and_writes_its_page(followed):
    folder, seen = followed
    result = json.loads((folder / "runs" / "tune" / "tune.json").read_text())
    assert {"full_rate", "twice_the_epochs"} < result["candidates"].keys()
    assert result["decision"]["reason"][1:] in seen.replace("\n", " ")
    assert (folder / "runs" / "tune" / "tuned.yaml").is_file()
    assert (folder / "runs" / "tune" / "tune.html").is_file()


@pytest.mark.slow
def test_the_dataset_step_prints_what_the_page_shows(followed):
    _, seen = followed
    shown = re.search(r"^```text\n(┃.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]
    assert set(shown.splitlines()) <= set(seen.splitlines())


@pytest.mark.slow
def test_every_documented_file_is_written(followed):
    folder, seen = followed
    assert (folder / "models" / "shop_ranker" / "1" / "saved_model.pb").is_file()
    assert (folder / "runs" / "diagnosis" / "diagnosis.json").is_file()
    assert json.loads((folder / "runs" / "validation.json").read_text())
    assert 'version_labels { key: "stable" value: 1 }' in (folder / "models" / "models.config").read_text()
    assert "promoted" in seen
    assert "recall@10" in seen
    assert "user v00007" in seen
