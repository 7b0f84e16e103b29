"""Runs the weekly loop's commands exactly as shown, on logs of five weeks, then tries to break its rounds."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted_config
from typed_pages import type_page
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
FIRST, SECOND = "2024-03-29", "2024-04-04"

pytestmark = pytest.mark.slow


def _write_config(folder):
    """Returns the windows of the first week; the page has the end of the later one."""
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


@pytest.fixture
def retrain(followed, monkeypatch):
    """Runs the command of the page with further options; returns its exit code and output."""
    folder, _ = followed
    monkeypatch.chdir(folder)

    def run(end, *options, gate="gate.yaml"):
        done = CliRunner().invoke(app, [
            "retrain", "--config=shop.yaml", "--raw=logs", "--rounds=rounds", "--models=models", f"--gate={gate}",
            "--label=stable", f"--end={end}", *options])
        if isinstance(done.exception, UserError):
            raise done.exception
        assert isinstance(done.exception, SystemExit | None), done.exception
        return done.exit_code, " ".join(done.output.split())

    return run


def test_changes_between_weeks_are_printed(followed):
    _, seen = followed
    before, new = map(int, re.search(r"vocabulary item: (\d+) ids keep their rows, (\d+) are new", seen).groups())
    assert f"item: {before} of {before + new} ids start from their rows in rounds/{FIRST}/embeddings" in seen
    assert re.search(r"impressions: 8,000 rows read, [\d,]+ written, [\d,]+ outside every window", seen)


def test_the_second_round_starts_from_the_rows_of_the_first(followed):
    first, second = (followed[0] / "rounds" / end for end in (FIRST, SECOND))
    assert json.loads((first / "round.json").read_text())["previous"] is None
    assert json.loads((second / "round.json").read_text())["previous"] == FIRST
    old, new = (Dataset.open(folder / "dataset").vocabulary("item") for folder in (first, second))
    np.testing.assert_array_equal(new.ids[:len(old.ids)], old.ids)
    window = Embeddings.open(second / "embeddings").window
    assert (f"{window.start:%F}", f"{window.end:%F}") == ("2024-03-01", "2024-03-21")  # of both rounds
    assert json.loads((second / "validation.json").read_text())["violations"] == []


def test_both_models_are_evaluated_on_the_new_week_and_the_label_moves(followed):
    folder, _ = followed
    comparison = json.loads((folder / "comparison.json").read_text())
    shown = json.loads((folder / "rounds" / SECOND / "dataset" / "dataset_info.json").read_text())
    assert comparison["parts"][0]["impressions"] == shown["splits"]["impressions/test"]["examples"]
    assert comparison["models"]["against"]["scored_on"] == f"rounds/{SECOND}/seen_by_live"
    assert not any("left out" in note for note in comparison["notes"])
    verdict = json.loads((folder / "models" / "shop_ranker" / "2.promotion.json").read_text())
    assert verdict["verdict"] == "promoted"
    assert verdict["models"]["live"]["version"] == 1
    served = (folder / "models" / "models.config").read_text()
    # After the roll-back.
    assert 'version_labels { key: "stable" value: 1 }' in served
    assert 'version_labels { key: "stable_rolled_back" value: 2 }' in served


def _contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_same_command_keeps_every_finished_step(followed, retrain):
    before = _contents(followed[0])
    code, output = retrain(FIRST)
    assert code == 0
    assert output.count("kept: it is the finished output of the same command") == 5
    assert "stable already names models/shop_ranker/1" in output
    assert _contents(followed[0]) == before


def test_a_version_that_the_gate_refuses_gets_no_label(followed, retrain):
    folder, served = followed[0], (followed[0] / "models" / "models.config").read_text()
    (folder / "strict.yaml").write_text("thresholds: {log_loss: {max: 0.1}}\n")
    code, output = retrain(SECOND, "--step=promote", gate="strict.yaml")
    assert code == 3
    assert "the gate refuses" in output
    assert (folder / "models" / "models.config").read_text() == served


def test_a_dataset_that_drifted_is_refused(retrain):
    code, output = retrain(SECOND, "--step=validate", "--max_psi=0")
    assert code == 3
    assert "limits of the validation are exceeded" in output


@pytest.mark.parametrize(("options", "message"), [
    (["--previous=none"], f"was begun from round '{FIRST}', not 'none'"),
    (["--set=windows.pretrain.start=2024-03-02"], "was begun with windows"),
    (["--step=train"], "--step 'train' is unknown"),
])
def test_a_round_is_not_continued_in_another_way(retrain, options, message):
    with pytest.raises(UserError, match=message):
        retrain(SECOND, *options)


def test_a_round_before_the_first_starts_from_nothing(followed, retrain):
    with pytest.raises(UserError, match="dataset"):
        retrain("2024-03-28", "--step=pretrain")
    assert json.loads((followed[0] / "rounds" / "2024-03-28" / "round.json").read_text())["previous"] is None


def test_an_end_of_another_kind_is_named(retrain):
    with pytest.raises(UserError, match="--end '28' is not a date such as 2024-03-31, like the windows"):
        retrain("28")
