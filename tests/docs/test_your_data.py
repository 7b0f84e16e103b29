"""Runs the files and commands of docs/your_data.md exactly as shown, on generated logs of three shapes."""

import functools
import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typed_pages import blocks, type_page

from tfrs_pretrain.config import parse_config

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "your_data.md").read_text()
SHAPES = PAGE[:PAGE.index("## Questions")]
KINDS = ["movies", "shop", "news"]
READERS = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": functools.partial(pd.read_json, lines=True)}


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Returns a folder after all steps of the page, and the output."""
    folder = tmp_path_factory.mktemp("your_data")
    return folder, type_page(SHAPES, folder)


def test_each_shape_is_taken_from_logs_to_a_comparison():
    typed = "".join(text for language, _, text in blocks(SHAPES) if language == "sh").splitlines()
    assert [shlex.split(line)[1] for line in typed] == 3 * [
        "demo-logs", "dataset", "pretrain", "train-ranker", "train-ranker", "evaluate"]
    assert {title: yaml.safe_load(text)["name"] for _, title, text in blocks(SHAPES) if title} == {
        f"{kind}.yaml": f"{kind}_ranker" for kind in KINDS}


def test_larger_logs_need_no_other_keys():
    """The page tells to delete the keys of small logs."""
    [small] = re.findall(r"delete the keys (.*?):", PAGE, re.DOTALL)
    for _, title, text in blocks(SHAPES):
        if title:
            tree = yaml.safe_load(text)
            for section in (tree["pretraining"], tree["ranking"]):
                for key in re.findall(r"`(\w+)`", small):
                    section.pop(key, None)
            assert parse_config(tree, origin=title).ranking.id_dim == 64


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_pretraining_improves_auc(followed, kind):
    folder, _ = followed
    scratch, warm_start = (json.loads((folder / "runs" / kind / arm / "manifest.json").read_text())["metrics"]["test"]
                           for arm in ("scratch", "warm_start"))
    assert warm_start["auc"] > scratch["auc"] + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_logs_have_the_columns_that_are_shown(followed, kind):
    folder, _ = followed
    text = "".join(text for language, _, text in blocks(SHAPES) if language == "text")
    for name, columns in re.findall(r"^(\S+): (.*)$", text, re.MULTILINE):
        if (path := folder / kind / name).exists():
            assert list(READERS[path.suffix](path)) == columns.split(", ")
    assert sum((folder / kind / name).exists() for name in re.findall(r"^(\S+): ", text, re.MULTILINE)) == 2


@pytest.mark.slow
def test_positives_have_the_configured_number_of_negatives(followed):
    folder, _ = followed
    for kind in ("shop", "news"):
        counts = json.loads((folder / "runs" / kind / "dataset" / "dataset_info.json").read_text())["counts"]
        assert 3.8 < counts["impressions"]["sampled_negatives"] / counts["impressions"]["written"] <= 4
