"""Small experiments: chosen settings, test evaluations, failures, killed processes, locks."""

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from planted import planted_config
from processes import start
from typer.testing import CliRunner

from tfrs_pretrain.artifacts import read_manifest, read_optional_json, write_manifest
from tfrs_pretrain.cli import app
from tfrs_pretrain.experiments.run import _with_same_test_impressions, choose
from tfrs_pretrain.study import Run, StudiedArm, Study

WARM = {"arm.transfer": "warm_start"}
CLI = "import sys; from tfrs_pretrain.cli import main; main()"


def write(folder, arms, **keys):
    tree = planted_config()
    tree["pretraining"]["epochs"] = 1
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump({
        "title": "Small", "config": "config.yaml", "logs": {"source": "planted"}, "seeds": [1, 2],
        "set": {"ranking.evals_per_epoch": 2, "training.checkpoint_every_steps": 5},
        "baseline": next(iter(arms)), "arms": arms} | keys, sort_keys=False))
    return path


def manifests(output, kind="ranker"):
    found = (output / "pieces" / kind).glob("*/manifest.json")
    return {path.parent.name: json.loads(path.read_text()) for path in found}


def command(path, output, *more):
    return CliRunner().invoke(app, ["experiment", str(path), "--output", str(output), *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """File, output and result of an experiment with candidates, a teacher, another window and a diverging arm."""
    folder = tmp_path_factory.mktemp("experiment")
    path = write(folder, {
        "scratch": {"each": {"arm.epochs": [1, 2]}},
        "warm": {"set": WARM, "choose": {"ranking.table_learning_rate": [1.0e-9, 0.02]}},
        "gap": {"set": {**WARM, "windows.pretrain.end": 15, "pretraining.epochs": 0}},
        "diverging": {"set": {"ranking.learning_rate": 1.0e+30}},
        "taught": {"teacher": "scratch_2"},
    }, baseline={"best_of": ["scratch"]})
    return path, folder / "out", command(path, folder / "out", "--jobs", "2")


@pytest.fixture(scope="module")
def study(finished):
    return Study.open(finished[1])


@pytest.mark.slow
def test_trials_are_not_scored_on_test_and_the_lowest_validation_loss_is_chosen(finished, study):
    output = finished[1]
    warm = next(arm for arm in study.arms if arm.name == "warm")
    assert [trial.settings["ranking.table_learning_rate"] for trial in warm.trials] == [1e-9, 0.02]
    assert warm.trials[1].validation["log_loss"] < warm.trials[0].validation["log_loss"]
    assert warm.settings == {**WARM, "ranking.table_learning_rate": 0.02}
    trials = {name: manifest for name, manifest in manifests(output).items() if "-trial-" in name}
    assert len(trials) == 2
    for name, manifest in trials.items():
        assert set(manifest["metrics"]) == {"validation"}
        assert not (output / "pieces" / "ranker" / name / "predictions" / "test.parquet").exists()
    tested = [read_manifest(run.ranker, "ranker") for run in warm.runs]
    assert [manifest["config"]["ranking"]["table_learning_rate"] for manifest in tested] == [0.02, 0.02]
    assert tested[0]["metrics"]["validation"] == warm.trials[1].validation | {
        name: value for name, value in tested[0]["metrics"]["validation"].items() if value is None}
    assert study.test_evaluations == dict.fromkeys((arm.name for arm in study.arms), 1)
    assert read_optional_json(output / "test_evaluations.json").keys() == study.test_evaluations.keys()


@pytest.mark.slow
def test_arms_share_pieces_but_every_seed_trains_its_own(finished, study):
    output = finished[1]
    finished_pieces = {kind: len(list((output / "pieces" / kind).iterdir())) for kind in (
        "logs", "dataset", "embeddings", "ranker")}
    # warm and gap with two seeds; scratch_1, scratch_2, warm (and its trials), gap, taught
    assert finished_pieces == {"logs": 1, "dataset": 2, "embeddings": 4, "ranker": 2 + 2 + 2 + 2 + 2 + 2}
    runs = {arm.name: arm.runs for arm in study.arms}
    assert Counter(run.dataset for arm in study.arms for run in arm.runs) == {
        runs["warm"][0].dataset: 8, runs["gap"][0].dataset: 2}
    assert [[run.seed for run in each] for name, each in runs.items() if name != "diverging"] == [[1, 2]] * 5
    assert read_manifest(runs["warm"][0].ranker, "ranker")["config"]["seed"] == 1
    scores = [pq.read_table(run.ranker / "predictions" / "test.parquet")["score"] for run in runs["warm"]]
    assert scores[0] != scores[1]
    assert runs["scratch_1"][0].embeddings is None
    assert read_manifest(runs["gap"][0].embeddings, "embeddings")["kept_epoch"] == 0
    assert [len(read_manifest(run.ranker, "ranker")["curve"]) for run in runs["scratch_2"]] == [4, 4]


@pytest.mark.slow
def test_arms_have_the_same_test_impressions_and_the_baseline_is_the_best_on_validation(study):
    keys = {arm.name: pq.read_table(arm.runs[0].ranker / "predictions" / "test.parquet")["key"] for arm in study.arms
            if arm.runs}
    assert keys["gap"] == keys["scratch_1"]
    losses = {arm.name: np.mean([read_manifest(run.ranker, "ranker")["metrics"]["validation"]["log_loss"]
                                 for run in arm.runs]) for arm in study.arms if arm.name.startswith("scratch")}
    assert study.baseline == min(losses, key=losses.get)
    taught = next(arm for arm in study.arms if arm.name == "taught")
    teacher = next(arm for arm in study.arms if arm.name == "scratch_2")
    assert taught.settings == {"arm.distillation.teacher": "scratch_2"}
    for run, teacher_run in zip(taught.runs, teacher.runs, strict=True):
        arms = read_manifest(run.ranker, "ranker")["config"]["ranking"]["arms"]
        assert arms["scratch"]["distillation"]["teacher"] == {"kind": "fixed", "path": str(teacher_run.ranker)}


@pytest.mark.slow
def test_a_failing_arm_is_reported_and_the_others_finish(finished, study):
    path, output, result = finished
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "failed: diverging, seed 1: the loss is not finite" in text
    assert "failed: diverging, seed 2: the loss is not finite" in text
    diverging = next(arm for arm in study.arms if arm.name == "diverging")
    assert diverging.runs == ()
    assert [failure.seed for failure in diverging.failures] == [1, 2]
    results = json.loads((output / "results.json").read_text())
    assert {entry["arm"] for entry in results["comparisons"]} >= {"warm", "gap", "taught"}
    assert (output / "report.html").is_file()
    [machine] = results["machines"]
    assert machine["cores"] >= 1
    assert machine["artifacts"] == 10 + 4  # rankers and rows
    assert min(study.seconds["stage_two"], study.seconds["data"]) > 0
    assert study.seconds["total"] > 0
    started = len(list((output / "console").iterdir()))
    again = command(path, output, "--arm", "warm", "--arm", "gap")
    assert again.exit_code == 0
    assert "ranker" not in again.output  # finished pieces are not made again
    assert len(list((output / "console").iterdir())) == started
    assert [arm.name for arm in Study.open(output).arms] == ["scratch_1", "scratch_2", "warm", "gap"]
    study.save()


@pytest.mark.slow
def test_a_dry_run_counts_pieces_and_writes_nothing(finished, tmp_path):
    path, output, _ = finished
    planned = command(path, tmp_path / "new", "--dry-run")
    assert planned.exit_code == 0
    rows = [line.split() for line in planned.output.splitlines()]
    assert ["logs", "1", "0", "1"] in rows
    assert ["ranker", "14", "0", "14"] in rows  # the diverging ones, too
    assert ["scratch_2", "1", "4", "0"] in rows  # shared with its student
    assert not (tmp_path / "new").exists()
    there = command(path, output, "--dry-run")
    assert ["embeddings", "4", "4", "0"] in [line.split() for line in there.output.splitlines()]


def children(pid):
    """Return the worker processes of a process."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for(condition, process):
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    raise AssertionError("timeout")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_a_killed_experiment_and_a_killed_worker_change_no_bit(finished, tmp_path):
    path, whole, _ = finished
    output = tmp_path / "out"
    arguments = ["-c", CLI, "experiment", path, "--output", output, "--jobs", "2", "--arm", "scratch_2", "--arm", "gap"]
    first = start(arguments)
    wait_for(lambda: list(output.glob("pieces/ranker/*.checkpoints/step-*")), first)
    workers = children(first.pid)
    first.kill()
    first.wait()
    for _ in range(1000):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            break
        time.sleep(0.01)
    else:
        raise AssertionError("workers outlived the process that started them")
    assert len(manifests(output)) < 4

    second = start(arguments)
    wait_for(lambda: children(second.pid), second)
    refused = command(path, output)
    assert f"process {second.pid} works in" in str(refused.exception)
    os.kill(children(second.pid)[0], signal.SIGKILL)
    output_text = second.communicate(timeout=120)[0]
    assert second.returncode == 0, output_text
    assert ("its process was ended by SIGKILL, which the operating system sends when memory runs out; it is tried again"
            in output_text)
    assert any("resuming from checkpoint" in log.read_text() for log in (output / "console").iterdir())

    finished_pieces = sorted(manifests(output))
    assert len(finished_pieces) == 4
    for name in finished_pieces:
        before, after = (folder / "pieces" / "ranker" / name for folder in (whole, output))
        files = sorted(file.relative_to(before) for file in before.rglob("*.npy"))
        assert files
        for file in files:
            np.testing.assert_array_equal(np.load(before / file), np.load(after / file))
        tested = [folder / "predictions" / "test.parquet" for folder in (before, after)]
        assert pq.read_table(tested[0]).equals(pq.read_table(tested[1]))


def test_the_first_of_the_lowest_losses_is_chosen():
    losses = [{"log_loss": 0.5}, None, {"log_loss": 0.3}, {"log_loss": 0.3, "auc": 0.9}]
    assert choose(losses) == 2
    assert choose([None, None]) is None


def test_runs_on_other_test_impressions_become_failures(tmp_path):
    def studied_arm(name, keys):
        folder = tmp_path / name / "predictions"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"key": keys}), folder / "test.parquet")
        write_manifest(tmp_path / name, "ranker", {})
        return StudiedArm(name, {}, [Run(1, tmp_path / name, None, Path(name))])

    arms = [studied_arm(name, keys) for name, keys in (
        ("base", [1, 2, 3]), ("shuffled", [3, 1, 2]), ("other", [1, 2, 4]), ("fewer", [1, 2]))]
    checked = {arm.name: arm for arm in _with_same_test_impressions(arms, "base")}
    assert [len(arm.runs) for arm in checked.values()] == [1, 1, 0, 0]
    assert checked["fewer"].failures[0].reason == "it was tested on 2 impressions that are not the 3 of 'base'"
