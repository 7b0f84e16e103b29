"""Two rounds of training on moved windows, as `tfrs-pretrain retrain` runs them."""

import json

import numpy as np
import pytest
import yaml
from planted import planted_config
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError

DAYS = {"pretrain": (0, 14), "train": (14, 21), "validation": (21, 23), "test": (23, 28)}
FIRST, SECOND = "28", "34"
MODELS = 'model_config_list { config { name: "shop_ranker" base_path: "/models/shop_ranker" ' \
         'model_platform: "tensorflow" } }'


def write_config(folder):
    tree = planted_config(windows={name: {"start": start, "end": end} for name, (start, end) in DAYS.items()})
    tree |= {"name": "shop_ranker", "export": {"arm": "warm_start"}}
    tree["pretraining"] |= {"epochs": 1}
    (folder / "shop.yaml").write_text(yaml.safe_dump(tree))
    (folder / "gate.yaml").write_text("thresholds: {log_loss: {max: 0.72}}\nnon_inferior: {log_loss: 0.2}\n")
    (folder / "models").mkdir()
    (folder / "models" / "models.config").write_text(MODELS)


@pytest.fixture(scope="module")
def retrain(tmp_path_factory, planted_logs):
    """Runs the command in a folder of its own; returns its exit code and output."""
    folder = tmp_path_factory.mktemp("retrain")
    write_config(folder)

    def run(end, *options, gate="gate.yaml"):
        done = CliRunner().invoke(app, [
            "retrain", f"--config={folder / 'shop.yaml'}", f"--raw={planted_logs}", f"--rounds={folder / 'rounds'}",
            f"--models={folder / 'models'}", f"--gate={folder / gate}", "--label=stable", f"--end={end}", *options])
        if isinstance(done.exception, UserError):
            raise done.exception
        assert isinstance(done.exception, SystemExit | None), done.exception
        return done.exit_code, done.output

    run.folder = folder
    return run


@pytest.fixture(scope="module")
def rounds(retrain):
    """Folder with both rounds; the second one without its promotion."""
    assert retrain(FIRST)[0] == 0
    steps = [f"--step={name}" for name in ("dataset", "validate", "pretrain", "train-ranker", "export")]
    assert retrain(SECOND, *steps)[0] == 0
    return retrain.folder


def label(folder):
    text = (folder / "models" / "models.config").read_text()
    return {number for number in (1, 2) if f'key: "stable" value: {number}' in " ".join(text.split())}


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_second_round_starts_from_the_rows_of_the_first(rounds):
    first, second = (rounds / "rounds" / end for end in (FIRST, SECOND))
    assert json.loads((second / "round.json").read_text())["previous"] == FIRST
    old, new = (Dataset.open(folder / "dataset").vocabulary("item") for folder in (first, second))
    np.testing.assert_array_equal(new.ids[:len(old.ids)], old.ids)
    window = Embeddings.open(second / "embeddings").window
    assert (window.start, window.end) == (0, 20)  # of both rounds' engagements
    assert json.loads((second / "validation.json").read_text())["violations"] == []


@pytest.mark.slow
def test_the_same_command_keeps_every_finished_step(rounds, retrain):
    before = contents(rounds)
    code, output = retrain(FIRST)
    assert code == 0
    assert output.count("kept: it is the finished output of the same command") == 5
    assert "stable already names" in output
    assert contents(rounds) == before


@pytest.mark.slow
def test_the_gate_compares_with_the_version_that_has_the_label(rounds, retrain):
    (rounds / "strict.yaml").write_text("thresholds: {log_loss: {max: 0.1}}\n")
    assert retrain(SECOND, "--step=promote", gate="strict.yaml")[0] == 3
    assert label(rounds) == {1}
    assert retrain(SECOND, "--step=promote")[0] == 0
    verdict = json.loads((rounds / "models" / "shop_ranker" / "2.promotion.json").read_text())
    assert verdict["models"]["live"]["version"] == 1
    assert verdict["models"]["live"]["scored_on"].endswith("seen_by_live")
    assert label(rounds) == {1}  # no server was named: the version is loaded first
    assert retrain(SECOND, "--step=promote")[0] == 0
    assert label(rounds) == {2}


@pytest.mark.slow
def test_a_dataset_that_drifted_is_refused(rounds, retrain):
    code, output = retrain(SECOND, "--step=validate", "--max_psi=0")
    assert code == 3
    assert "limits of the validation are exceeded" in " ".join(output.split())


@pytest.mark.slow
@pytest.mark.parametrize(("options", "message"), [
    (["--previous=none"], "was begun from round '28', not 'none'"),
    (["--set=windows.pretrain.start=1"], "was begun with windows"),
    (["--step=train"], "--step 'train' is unknown"),
])
def test_a_round_is_not_continued_in_another_way(rounds, retrain, options, message):
    with pytest.raises(UserError, match=message):
        retrain(SECOND, *options)


@pytest.mark.slow
def test_a_round_before_the_first_starts_from_nothing(rounds, retrain):
    with pytest.raises(UserError, match="dataset"):
        retrain("27", "--step=pretrain")
    assert json.loads((rounds / "rounds" / "27" / "round.json").read_text())["previous"] is None
