"""Folders that pruning removes, and folders that it keeps."""

import json
import shutil

import pytest
import yaml
from planted import planted_config
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection
from tfrs_pretrain.experiments.output_lock import locked
from tfrs_pretrain.study import Run, StudiedArm, Study

WARM = {"arm.transfer": "warm_start"}
ARMS = {"scratch": {}, "warm": {"set": WARM, "choose": {"ranking.table_learning_rate": [0.01, 0.02]}},
        "longer": {"set": {**WARM, "pretraining.epochs": 5}}, "taught": {"teacher": "scratch"}}


def write(folder, arms):
    (folder / "config.yaml").write_text(yaml.safe_dump(planted_config()))
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump({"title": "Small", "config": "config.yaml", "logs": {"source": "planted"},
                                    "seeds": [1, 2], "baseline": "scratch", "arms": arms}))
    return path


def command(path, output, *more, **keys):
    return CliRunner().invoke(app, ["experiment", str(path), "--output", str(output), "--prune", *more], **keys)


def rankers(plan, *names):
    return [plan.ranker(arm, settings, seed) for arm in plan.arms if arm.name in names
            for settings in arm.candidates for seed in plan.seeds]


def pieces(output):
    return {f"{folder.parent.name}/{folder.name}" for folder in output.glob("pieces/*/*")}


@pytest.fixture
def experiment(tmp_path):
    """File, output and plan; every piece is a folder with a file of 1,000 bytes, and there is no report."""
    path, output = write(tmp_path, ARMS), tmp_path / "out"
    plan = Plan(path, Selection())
    trials = [piece for arm in plan.arms for piece in plan.trials(arm)]
    for piece in [need for ranker in [*rankers(plan, *ARMS), *trials] for need in ranker.with_dependencies()]:
        piece.folder(output).mkdir(parents=True, exist_ok=True)
        (piece.folder(output) / "rows.npy").write_bytes(bytes(1000))
    return path, output, plan


def report_of(plan, output, *names):
    arms = [StudiedArm(name, {}, [Run(piece.task["config"]["seed"], piece.folder(output), None, output / "dataset")
                                  for piece in rankers(plan, name)]) for name in names]
    Study(output, "Small", plan.planner.configs.shared, names[0], arms, {}, 1, []).save()


def test_pieces_of_the_file_are_kept(experiment):
    path, output, _ = experiment
    before = pieces(output)
    assert len(before) == 1 + 1 + 4 + 2 + 2 * 2 + 2 + 2 + 2  # warm: two candidates and their trials
    done = command(path, output, "--yes")
    assert done.exit_code == 0
    assert "nothing to remove" in done.output
    # Also those of arms and seeds that are not selected.
    kept = command(path, output, "--yes", "--arm", "scratch", "--seed", "1")
    assert kept.exit_code == 0
    assert pieces(output) == before


def test_pieces_of_a_removed_arm_are_listed_and_removed(experiment, tmp_path):
    path, output, plan = experiment
    before = pieces(output)
    write(tmp_path, {name: ARMS[name] for name in ("scratch", "warm")})
    lost = {f"{piece.kind}/{piece.name}" for piece in [
        *rankers(plan, "longer", "taught"), *(ranker.needs[1] for ranker in rankers(plan, "longer"))]}
    listed = command(path, output, "--dry-run", "--yes")
    assert "6 folders, 6.0 kB" in listed.output
    assert all(name in listed.output for name in lost)
    assert pieces(output) == before
    assert command(path, output, input="n\n").exit_code == 0
    assert command(path, output, input="").exit_code == 1  # no answer
    assert pieces(output) == before
    assert command(path, output, input="y\n").exit_code == 0
    assert pieces(output) == before - lost


def test_pieces_of_the_report_are_kept(experiment, tmp_path):
    path, output, plan = experiment
    report_of(plan, output, "scratch", "taught")
    write(tmp_path, {"scratch": ARMS["scratch"]})
    assert command(path, output, "--yes").exit_code == 0
    assert {name for name in pieces(output) if name.startswith("ranker")} == {
        f"ranker/{piece.name}" for piece in rankers(plan, "scratch", "taught")}
    (output / "study.json").write_text(json.dumps({"kind": "study"}))
    before = pieces(output)
    assert "not a study of this version" in str(command(path, output, "--yes").exception)
    assert pieces(output) == before


def test_checkpoints_are_kept_and_remains_of_a_killed_writer_are_removed(experiment):
    path, output, plan = experiment
    [first, second] = rankers(plan, "scratch")
    checkpoints = first.folder(output).with_name(f"{first.name}.checkpoints")
    (checkpoints / "step-5").mkdir(parents=True)
    shutil.rmtree(first.folder(output))
    before = pieces(output)
    for left in (f".{second.name}.unfinished-0123abcd", "scratch-seed9-0123456789ab.checkpoints"):
        (second.folder(output).parent / left).mkdir()
    assert command(path, output, "--yes").exit_code == 0
    assert pieces(output) == before


def test_an_interrupted_removal_leaves_no_finished_piece(experiment, tmp_path, monkeypatch):
    def killed(folder, **_):
        (folder / "rows.npy").unlink()
        raise KeyboardInterrupt

    path, output, plan = experiment
    before = pieces(output)
    [lost, _] = rankers(plan, "taught")
    write(tmp_path, {name: arm for name, arm in ARMS.items() if name != "taught"})
    with monkeypatch.context() as context:
        context.setattr(shutil, "rmtree", killed)
        command(path, output, "--yes")
    assert len(pieces(output)) == len(before)  # renamed, not removed
    assert len(before - pieces(output)) == 1
    assert command(path, output, "--yes").exit_code == 0
    assert pieces(output) == before - {f"ranker/{piece.name}" for piece in rankers(plan, "taught")}
    assert not lost.folder(output).exists()


def test_a_locked_or_wrong_folder_is_not_changed(experiment, tmp_path):
    path, output, _ = experiment
    write(tmp_path, {"scratch": {}})
    before = pieces(output)
    with locked(output):
        assert "works in" in str(command(path, output, "--yes").exception)
    assert pieces(output) == before
    assert "no experiment ran there" in str(command(path, tmp_path / "elsewhere", "--yes").exception)
    assert not (tmp_path / "elsewhere").exists()
    path.write_text("arms: [")
    assert command(path, output, "--yes").exit_code == 1
    assert pieces(output) == before
