"""The README's Python runs as shown, with another configuration and other logs."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import yaml
from planted import planted_config as planted_tree

import tfrs_pretrain as tp

ROOT = Path(__file__).resolve().parents[2]


def code(page):
    """The block of a page that builds, trains and exports."""
    [block] = [text for text in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
               if "tp.export" in text]
    return block


def test_the_page_about_the_interface_shows_the_same_code():
    assert code(ROOT / "docs" / "api" / "index.md") == code(ROOT / "README.md")


@pytest.mark.slow
def test_the_code_trains_and_exports_a_model(planted_logs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(yaml.safe_dump(planted_tree()))
    shown = code(ROOT / "README.md")
    assert len([line for line in shown.splitlines() if line]) <= 10
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(shown.replace('"/data/parquet"', repr(str(planted_logs))), names)
    assert isinstance(names["dataset"], tp.Dataset)
    assert isinstance(names["pretrained"], tp.PretrainResult)
    assert isinstance(names["ranker"], tp.TrainedArm)
    assert isinstance(names["exported"], tp.ExportedVersion)
    losses = [epoch["heldout_loss"] for epoch in names["pretrained"].epochs]
    lines = printed.getvalue().splitlines()
    assert f"held-out loss by epoch: {losses}" in lines
    assert f"test AUC: {names['ranker'].metrics['test']['auc']}" in lines
    assert losses[-1] < losses[0]
    assert Path("saved_models/planted_ranker/1/saved_model.pb").is_file()
    assert "TensorFlow Serving loads saved_models/planted_ranker/1" in lines
    assert tp.evaluate("runs/mine/ranker", replicates=20).parts[0].part.slicing == "all"
    assert tp.evaluate("runs/mine/ranker", "saved_models/planted_ranker/1", replicates=20).is_comparison
