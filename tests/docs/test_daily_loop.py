"""Runs the daily loop's commands exactly as shown, on logs of five weeks."""

import json
import re
from pathlib import Path

import pytest
import yaml
from planted import planted_config
from typed_pages import BLOCK, type_page

from tfrs_pretrain.schema import Schema

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md"


def _text(title):
    return re.search(rf"^## {title}$(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]


def _write_config(folder):
    """Writes the page's settings into a configuration with the windows of the first day."""
    days = {"pretrain": (1, 15), "train": (15, 22), "validation": (22, 24), "test": (24, 29)}
    tree = planted_config(windows={name: {"start": f"2024-03-{start:02d}", "end": f"2024-03-{end:02d}"}
                                   for name, (start, end) in days.items()})
    [(_, _, title, text)] = BLOCK.findall(_text("The vocabulary"))
    tree["schema"] |= {"window": "ts", "user": tree["schema"]["user"] | yaml.safe_load(text)["schema"]["user"]}
    tree["schema"]["item"] |= {"max_size": 150, "eviction": "least_frequent"}
    tree["export"]["arm"] = "warm_start"
    assert Schema.model_validate(tree["schema"]).user.lifecycle.decay == 0.8
    (folder / title).write_text(yaml.safe_dump(tree))


@pytest.fixture(scope="module")
def followed(tmp_path_factory, planted_logs):
    """Returns a folder after all steps of the section, and the output."""
    folder = tmp_path_factory.mktemp("daily")
    (folder / "logs").symlink_to(planted_logs)
    _write_config(folder)
    return folder, type_page(_text("The daily loop"), folder, timeout=600)


@pytest.mark.slow
def test_both_stages_start_from_the_rows_of_the_day_before(followed):
    folder, seen = followed
    changes = json.loads((folder / "runs" / "d2" / "dataset" / "dataset_info.json").read_text())["lifecycle"]["item"]
    assert changes["admitted"] == changes["reused"] == changes["evicted"] > 0
    ids = changes["kept"] + changes["admitted"]
    assert ids == 150
    for earlier in ("embeddings", "ranker"):
        assert f"item: {changes['kept']} of {ids} ids start from their rows in runs/d1/{earlier}" in seen
