"""Runs the weekly loop's commands exactly as shown, on logs of five weeks."""

import json
import re
from pathlib import Path

import pytest
import yaml
from planted import planted_config
from typed_pages import type_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def _write_config(folder):
    """Returns the windows of the first week; the page has the later ones."""
    days = {"pretrain": (1, 15), "train": (15, 22), "validation": (22, 24), "test": (24, 29)}
    tree = planted_config(windows={name: {"start": f"2024-03-{start:02d}", "end": f"2024-03-{end:02d}"}
                                   for name, (start, end) in days.items()})
    tree |= {"name": "shop_ranker", "schema": tree["schema"] | {"window": "ts"}, "export": {"arm": "warm_start"}}
    (folder / "shop.yaml").write_text(yaml.safe_dump(tree))


@pytest.fixture(scope="module")
def followed(tmp_path_factory, planted_logs):
    """Returns a folder after all steps of the page, and the output."""
    folder = tmp_path_factory.mktemp("weekly")
    (folder / "logs").symlink_to(planted_logs)
    _write_config(folder)
    loop = re.search(r"^## The weekly loop$(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]
    return folder, type_page(loop, folder, timeout=600)


@pytest.mark.slow
def test_changes_between_weeks_are_printed(followed):
    _, seen = followed
    before, new = map(int, re.search(r"vocabulary item: (\d+) ids keep their rows, (\d+) are new", seen).groups())
    assert f"item: {before} of {before + new} ids start from their rows in runs/w1/embeddings" in seen
    assert re.search(r"impressions: 8,000 rows read, [\d,]+ written, [\d,]+ outside every window", seen)


@pytest.mark.slow
def test_both_models_are_evaluated_on_the_new_week_and_the_label_moves(followed):
    folder, _ = followed
    comparison = json.loads((folder / "runs" / "w2" / "comparison.json").read_text())
    shown = json.loads((folder / "runs" / "w2" / "dataset" / "dataset_info.json").read_text())
    assert comparison["parts"][0]["impressions"] == shown["splits"]["impressions/test"]["examples"]
    assert comparison["models"]["against"]["scored_on"] == "runs/w2/seen_by_w1"
    assert not any("left out" in note for note in comparison["notes"])
    verdict = json.loads((folder / "models" / "shop_ranker" / "2.promotion.json").read_text())
    assert verdict["verdict"] == "promoted"
    assert verdict["models"]["live"]["version"] == 1
    served = (folder / "models" / "models.config").read_text()
    # After the roll-back.
    assert 'version_labels { key: "stable" value: 1 }' in served
    assert 'version_labels { key: "stable_rolled_back" value: 2 }' in served
