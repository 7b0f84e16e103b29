"""Runs the demo's command on a part of the real data, from the bundled tables to a served score."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lean_processes import python_path
from loaded_models import run_signature
from typer.testing import CliRunner

from tfrs_pretrain.cli import app

pytestmark = pytest.mark.slow

SHRUNK = ("completejourney.max_households=100", "pretraining.epochs=2", "pretraining.batch_size=512",
          "ranking.batch_size=512")


def arguments(*settings: str) -> list[str]:
    overrides = [part for setting in (*SHRUNK, *settings) for part in ("--set", setting)]
    return ["demo", "--workdir", "run", "--models", "models", *overrides]


def demo(folder: Path, *settings: str) -> str:
    """Runs the command in a separate process, as a user does, and returns its output."""
    code = "import faster_beam; faster_beam.install(); from tfrs_pretrain.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments(*settings)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600,
                          env=os.environ | {"COLUMNS": "120"} | python_path())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def demo_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the command in this process, which spares the start of TensorFlow."""
    monkeypatch.chdir(folder)
    outcome = CliRunner().invoke(app, arguments())
    assert outcome.exit_code == 0, outcome.output + repr(outcome.exception)
    assert outcome.stderr == ""
    return outcome.stdout


def results(folder: Path) -> dict:
    return json.loads((folder / "run" / "results.json").read_text())


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return folder, demo(folder)


def test_results_have_the_documented_keys(first):
    folder, _ = first
    found = results(folder)
    assert list(found["arms"]) == ["scratch", "warm_start", "warm_start_distilled"]
    for arm in found["arms"].values():
        assert 0.5 < arm["test_auc"] < 1
        assert 0 < arm["test_log_loss"] < 0.7
        assert 0.5 < arm["test_gauc"] < 1
    losses = [found["stage_one"]["heldout_loss_before_training"], *found["stage_one"]["heldout_loss"]]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
    assert [(one["arm"], one["against"]) for one in found["comparisons"]] == [
        ("warm_start", "scratch"), ("warm_start_distilled", "scratch"), ("warm_start_distilled", "warm_start")]
    assert found["embedding_map"]["feature"] == "department"
    assert set(found["seconds"]) == {"data", "stage_one", "stage_two", "export", "total"}
    parts = [found["seconds"][name] for name in ("data", "stage_one", "stage_two", "export")]
    assert found["seconds"]["total"] == pytest.approx(sum(parts))
    assert 1e8 < found["peak_rss_bytes"] < 6e9


def test_console_ends_with_a_summary_and_the_next_command(first):
    folder, output = first
    assert f"{results(folder)['arms']['warm_start']['test_auc']:.4f}" in output
    assert output.rstrip().splitlines()[-1] == "next: python3 -m webbrowser run/report.html"
    assert "choose settings on this data: tfrs-pretrain tune --dataset run/dataset --output run/tune" in output
    assert "pairs/s" in output
    assert "impressions/s" in output


def test_report_shows_the_numbers(first):
    folder, _ = first
    for name in ("report.html", "report.md"):
        page = (folder / "run" / name).read_text()
        for arm in results(folder)["arms"].values():
            assert f"{arm['test_auc']:.4f}" in page


def test_the_report_can_be_rewritten_in_another_place(first, tmp_path):
    folder, _ = first
    shutil.copytree(folder / "run", tmp_path / "moved")
    before = results(folder)
    (tmp_path / "moved" / "results.json").unlink()
    outcome = CliRunner().invoke(app, ["report", str(tmp_path / "moved")])
    assert outcome.exit_code == 0, outcome.output
    after = json.loads((tmp_path / "moved" / "results.json").read_text())
    assert after["arms"] == before["arms"]
    assert after["comparisons"] == before["comparisons"]


def test_exported_version_scores_raw_ids(first):
    folder, _ = first
    version = folder / "models" / "completejourney_ranker" / "1"
    raw = {"user_id": [1, 2**62], "item_id": [1082185, 0], "store_id": [367, 0], "manufacturer_id": [2, -1],
           "log_price": [0.5, float("nan")]}
    strings = ("display_location", "mailer_location", "department", "product_category", "product_type", "brand",
               "age", "income", "household_size", "household_comp")
    inputs = {name: np.array(values, np.float32 if name == "log_price" else np.int64) for name, values in raw.items()}
    inputs |= {name: np.array(["never seen", ""], object) for name in strings}
    scores = run_signature(version, "serving_default", inputs)["score"]
    assert scores.shape == (2,)
    assert ((scores > 0) & (scores < 1)).all()


def test_a_second_run_reuses_every_stage(first, monkeypatch):
    folder, _ = first
    before = results(folder)
    output = demo_again(folder, monkeypatch)
    assert output.count("kept from an earlier run") == 7
    assert results(folder) == before
    assert [path.name for path in (folder / "models" / "completejourney_ranker").iterdir()] == ["1"]


def test_a_deleted_stage_runs_again_with_all_later_ones_and_equal_results(first, monkeypatch):
    """Also shows that the seed determines the results: everything from Stage I on is computed again."""
    folder, _ = first
    before = results(folder)
    (folder / "run" / "embeddings" / "manifest.json").unlink()
    output = demo_again(folder, monkeypatch)
    assert output.count("kept from an earlier run") == 2
    after = results(folder)
    for name, arm in after["arms"].items():
        for part in ("test", "validation", "slices"):
            assert arm[part] == before["arms"][name][part]
    assert after["stage_one"]["heldout_loss"] == before["stage_one"]["heldout_loss"]
    assert after["comparisons"] == before["comparisons"]
    assert len(list((folder / "models" / "completejourney_ranker").iterdir())) == 2


def test_two_replicas_run_the_whole_demo(tmp_path):
    demo(tmp_path, "training.logical_cpus=2", "pretraining.epochs=1", "completejourney.max_households=50")
    manifest = json.loads((tmp_path / "run" / "embeddings" / "manifest.json").read_text())
    assert manifest["replicas"] == 2
    assert results(tmp_path)["arms"]["warm_start_distilled"]["test_auc"] > 0.5
