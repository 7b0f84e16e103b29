"""Experiments on several logs: their files, the choice of logs, and two small logs from the command to the summary."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from planted import planted_config
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.experiment_file import load_experiment, log_names
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection
from tfrs_pretrain.experiments.several_logs import run_logs, select_logs
from tfrs_pretrain.study import Study

TRANSFER = Path(__file__).parents[2] / "experiments" / "transfer.yaml"
ARMS = {"scratch": {}, "warm_start": {"set": {"arm.transfer": "warm_start"}},
        "best": {"choose": [{"arm.transfer": "scratch"}, {"arm.transfer": {"kind": "warm_start", "evidence": 10}}]}}
LOGS = {"plain": {"source": "regime", "regime": "many_engagements", "scale": 0.1},
        "few": {"source": "regime", "regime": "few_engagements", "scale": 0.1, "set": {"ranking.epochs": 2}},
        "own": {"source": "raw", "config": "other.yaml"}}


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Write an experiment file with these keys changed."""
    folder = tmp_path_factory.mktemp("several")
    tree = planted_config()
    tree["schema"]["features"] = [feature for feature in tree["schema"]["features"] if feature["name"] != "dwell"]
    tree["pretraining"]["epochs"] = 1
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))

    def written(**keys):
        path = folder / "experiment.yaml"
        path.write_text(yaml.safe_dump({
            "title": "Small", "config": "config.yaml", "logs": LOGS, "seeds": [1, 2], "set": {"pretraining.dim": 8},
            "baseline": "scratch", "arms": ARMS, "goal": {"arm": "warm_start", "best": "best"}} | keys,
            sort_keys=False))
        return path

    return written


def test_each_log_has_the_keys_of_the_file_and_its_own(write):
    path = write()
    assert log_names(path) == ["plain", "few", "own"]
    plain, few, own = (load_experiment(path, name) for name in log_names(path))
    assert (plain.title, plain.config, plain.set) == ("Small: plain", "config.yaml", {"pretraining.dim": 8})
    assert few.set == {"pretraining.dim": 8, "ranking.epochs": 2}
    assert (few.logs.regime, few.logs.scale) == ("few_engagements", 0.1)
    assert (own.config, own.logs.source) == ("other.yaml", "raw")
    assert plain.arms == few.arms == own.arms
    assert log_names(write(logs={"source": "planted"}, goal=None)) == []


@pytest.mark.parametrize(("log", "keys", "message"), [
    (None, {}, r"has several logs: name one of \['plain', 'few', 'own'\]"),
    ("other", {}, "logs.other must be a mapping with the key source"),
    ("plain", {"logs": {"plain": None}}, "logs.plain must be a mapping with the key source"),
    ("plain", {"logs": {"plain": {"source": "regime", "regime": "calm"}}}, "regime 'calm' is unknown"),
    ("plain", {"logs": {"plain": {"source": "regime", "regime": "drift", "size": 2}}}, "unknown key"),
    (None, {"logs": {"../up": {"source": "planted"}}}, "'../up' cannot be the name of a folder"),
    (None, {"logs": {"source": "planted"}}, "goal is for several logs"),
])
def test_wrong_files_are_refused(write, log, keys, message):
    with pytest.raises(UserError, match=message):
        load_experiment(write(**keys), log)


def test_the_arms_of_the_goal_must_exist(write):
    with pytest.raises(UserError, match="goal 'wurm' is not one of the arms"):
        Plan(write(goal={"arm": "wurm", "best": "best"}), Selection(log="plain"))


def test_logs_without_a_folder_are_left_out_unless_requested(write, tmp_path):
    path = write()
    found = select_logs(path, [], [], ["warm_start"], [3])
    assert (list(found.selections), found.without_data) == (["plain", "few"], ["own"])
    assert found.selections["few"] == Selection(None, ["warm_start"], [3], "few")
    found = select_logs(path, ["own"], [f"own={tmp_path}"], [], [])
    assert found.selections == {"own": Selection(tmp_path, [], [], "own")}
    for requested, data, message in ((["own"], [], "name its folder with --data own=FOLDER"),
                                     (["none"], [], "--log 'none' is not one of the logs"),
                                     ([], ["none=x"], "--data 'none' is not one of the logs"),
                                     ([], [str(tmp_path)], "must be NAME=FOLDER")):
        with pytest.raises(UserError, match=message):
            select_logs(path, requested, data, [], [])


def test_a_log_that_fails_does_not_stop_the_others(write, tmp_path):
    path = write(goal=None)
    results = {"title": "t", "baseline": "scratch", "seeds": [1], "comparisons": [], "arms": {}}

    def run(folder, selection):
        if selection.log == "plain":
            raise UserError("no run of the baseline succeeded")
        return results

    summary = run_logs(path, tmp_path, select_logs(path, [], [], [], []), run)
    assert list(summary["logs"]) == ["few"]
    assert summary["failures"] == {"plain": "no run of the baseline succeeded"}
    assert "own was left out: it needs --data own=FOLDER." in (tmp_path / "summary.md").read_text()
    with pytest.raises(UserError, match="no log finished; first reason: plain: no run of the baseline"):
        run_logs(path, tmp_path, select_logs(path, ["plain"], [], [], []), run)


def test_the_judge_of_the_defaults_is_valid_for_every_log(tmp_path):
    names = log_names(TRANSFER)
    assert len(names) >= 8
    for name in names:
        data = tmp_path if name in ("kuairand", "gowalla") else None
        plan = Plan(TRANSFER, Selection(data, log=name))
        assert [arm.name for arm in plan.arms] == ["scratch", "warm_start", "best"]
        assert {"arm.transfer": "scratch"} in plan.arms[2].candidates


@pytest.mark.slow
def test_two_small_logs_end_in_reports_and_a_summary(write, tmp_path):
    path, output = write(), tmp_path / "out"
    options = ["experiment", str(path), "--output", str(output), "--seed", "2"]
    result = CliRunner().invoke(app, [*options, "--jobs", "2"])
    assert result.exit_code == 0, result.output
    assert "left out: own, which needs --data own=FOLDER" in " ".join(result.output.split())
    summary = json.loads((output / "summary.json").read_text())
    assert list(summary["logs"]) == ["plain", "few"]
    for name, log in summary["logs"].items():
        assert (output / name / "report.html").is_file()
        study = Study.open(output / name)
        assert study.commands == [f"tfrs-pretrain experiment {path} --output {output} --log {name} --seed 2"]
        tested = {arm.name: [auc_of(run.ranker) for run in arm.runs] for arm in study.arms}
        for arm, values in tested.items():
            assert log["arms"][arm]["auc"] == {"mean": pytest.approx(np.mean(values)), "low": None, "high": None}
        gain = {role: np.mean(np.subtract(tested[arm], tested["scratch"]))
                for role, arm in (("arm", "warm_start"), ("best", "best"))}
        assert log["target"]["gain"]["auc"] == pytest.approx(gain, abs=1e-6)
        assert log["settings"]["best"] in ARMS["best"]["choose"]
    again = CliRunner().invoke(app, [*options, "--log", "few", "--dry-run"])
    assert ["ranker", "4", "4", "0"] in [line.split() for line in again.output.splitlines()]


def auc_of(ranker):
    table = pq.read_table(ranker / "predictions" / "test.parquet")
    return roc_auc_score(table["label"], table["score"])
