"""Pieces that arms share, invalid settings, and the project's own experiment files."""

import json
import re
from pathlib import Path

import pytest
import yaml
from planted import planted_config

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import ProvidedLogs
from tfrs_pretrain.experiments.experiment_file import load_experiment, log_names
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, LOGS, RANKER
from tfrs_pretrain.experiments.stream_plan import load_plan

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
OUTCOMES = {"play_time_ms", "long_view", "long_watch", "is_like", "is_follow", "is_comment", "is_forward", "is_hate",
            "duration_ms"}
WARM = {"arm.transfer": "warm_start"}


def pieces(plan):
    """Return kind -> names of all distinct pieces of all arms and seeds."""
    rankers = [plan.ranker(arm, settings, seed) for arm in plan.arms for settings in arm.candidates
               for seed in plan.seeds]
    every = {piece for ranker in rankers for piece in ranker.with_dependencies()}
    return {kind: {piece.name for piece in every if piece.kind == kind} for kind in (LOGS, DATASET, EMBEDDINGS, RANKER)}


def counts(plan):
    return tuple(len(names) for names in pieces(plan).values())


def test_arms_that_differ_in_ranking_share_dataset_and_embeddings(plan):
    assert counts(plan({"scratch": None, "two": {"set": {"arm.epochs": 2}}})) == (1, 1, 0, 4)
    assert counts(plan({"warm": {"set": WARM}, "two": {"set": {**WARM, "arm.epochs": 2}}})) == (1, 1, 2, 4)


def test_changes_of_pretraining_and_windows_make_new_pieces(plan):
    arms = {"warm": {"set": WARM}, "long": {"set": {**WARM, "pretraining.epochs": 5}}}
    assert counts(plan(arms)) == (1, 1, 4, 4)
    arms["gap"] = {"set": {**WARM, "windows.pretrain.end": 18}}
    arms["overlap"] = {"set": {**WARM, "windows.pretrain.end": 28, "windows.allow_overlap": True}}
    assert counts(plan(arms)) == (1, 3, 8, 8)


def test_equal_settings_in_different_keys_make_one_piece(plan):
    same = plan({"a": {"set": {"arm.epochs": 2}}, "b": {"set": {"ranking.epochs": 2}}, "c": {"set": {
        "arm.epochs": 2, "ranking.epochs": 7}}, "d": {"set": {"arm.epochs": 2, "pretraining.epochs": 9}}})
    assert counts(same) == (1, 1, 0, 2)
    digests = [same.settings_digest(arm, arm.candidates[0]) for arm in same.arms]
    assert len(set(digests)) == 1


def test_a_trial_is_another_piece_than_the_final_ranker(plan):
    one = plan({"scratch": None})
    trial, final = (one.ranker(one.arms[0], {}, 1, test=test) for test in (False, True))
    assert (trial.task["test"], final.task["test"]) == (False, True)
    assert trial.name.startswith("scratch-seed1-trial-")
    assert trial.name.rpartition("-")[2] != final.name.rpartition("-")[2]


def test_a_student_depends_on_its_teachers_ranker_of_the_same_seed(plan):
    taught = plan({"teacher": {"set": {"arm.epochs": 2}}, "student": {"teacher": "teacher"}})
    student = taught.ranker(taught.arms[1], {}, 2)
    assert taught.ranker(taught.arms[0], {"arm.epochs": 2}, 2) in student.needs
    assert student.task["teacher"]["name"].startswith("scratch-seed2-")
    assert counts(taught) == (1, 1, 0, 4)


def test_tasks_contain_seeds_and_settings(plan):
    one = plan({"warm": {"set": {**WARM, "windows.pretrain.end": 18, "ranking.hidden": [4]}}}, set={
        "arm.embedding_l2": 0.5, "pretraining.epochs": 0})
    ranker = one.ranker(one.arms[0], one.arms[0].candidates[0], 2)
    config = Config.model_validate(ranker.task["config"])
    [arm] = config.ranking.arms.values()
    assert (config.seed, config.windows.pretrain.end, config.ranking.hidden, config.ranking.embedding_l2,
            config.pretraining.epochs, arm.transfer.kind) == (2, 18, (4,), 0.5, 0, "warm_start")
    by_kind = {piece.kind: piece for piece in ranker.with_dependencies()}
    assert by_kind[EMBEDDINGS].task["config"]["seed"] == 2
    assert by_kind[DATASET].task["config"]["seed"] == by_kind[LOGS].task["seed"] == planted_config()["seed"]
    assert by_kind[DATASET].task["config"]["windows"]["pretrain"]["end"] == 18
    json.dumps([piece.task for piece in by_kind.values()])


@pytest.mark.parametrize(("settings", "message"), [
    ({"seed": 3}, "arm 'b' sets 'seed', which all arms share"),
    ({"windows.test.end": 33}, "arm 'b' sets 'windows.test.end', which all arms share"),
    ({"windows": {}}, "windows"),
    ({"ranking.arms.b.epochs": 3}, "arm 'b' sets 'ranking.arms.b.epochs'"),
    ({"arm.epochz": 3}, "arm b'?: unknown key 'ranking.arms.scratch.epochz'"),
    ({"pretraining.epochz": 3}, "arm b'?: unknown key 'pretraining.epochz'"),
    ({"windows.pretrain.end": 25}, "window pretrain .* must end before window train"),
    ({"name.first": 1}, "arm 'b' sets 'name.first'"),
    ({"arm.meda": {}}, "arm b'?: .*makes no difference in one epoch"),
])
def test_invalid_settings_are_refused_before_any_work(plan, settings, message):
    with pytest.raises(UserError, match=message) as refused:
        plan({"a": None, "b": {"set": settings}})
    assert "\n" not in str(refused.value)


def test_data_is_required_for_provided_logs_only(plan, tmp_path, tiny_dataset):
    with pytest.raises(UserError, match="logs are 'raw': name their folder with --data"):
        plan({"a": None}, logs={"source": "raw"})
    with pytest.raises(UserError, match="logs are 'planted': they are generated, so remove --data"):
        plan({"a": None}, Selection(tmp_path))
    with pytest.raises(UserError, match=r"has no dataset_info\.json"):
        plan({"a": None}, Selection(tmp_path), logs={"source": "dataset"}, config=None)
    given = {"logs": {"source": "dataset"}, "config": None}
    warm = {"warm": {"set": WARM}}
    assert counts(plan(warm, Selection(tiny_dataset.folder), **given)) == (0, 0, 2, 2)
    message = r"arm 'warm' needs another dataset than --data; first difference: windows.pretrain.end"
    with pytest.raises(UserError, match=message):
        plan({"warm": {"set": {**WARM, "windows.pretrain.end": 18}}}, Selection(tiny_dataset.folder), **given)


@pytest.mark.parametrize("name", sorted(path.stem for path in EXPERIMENTS.glob("*.yaml")))
def test_the_projects_experiments_are_valid_and_documented(name, tmp_path):
    path = EXPERIMENTS / f"{name}.yaml"
    head = path.read_text().partition("\ntitle:")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    for fact in ("command:", "hardware:", "time:", "expected:"):
        assert f"# {fact}" in head
    for log in log_names(path) or [None]:
        data = tmp_path if isinstance(load_experiment(path, log).logs, ProvidedLogs) else None
        assert data is None or "--data" in head
        check_plan(load_plan(path, Selection(data, log=log)))


def check_plan(plan):
    assert len(plan.arms) * len(plan.seeds) == len({
        (arm.name, seed) for arm in plan.arms for seed in plan.seeds})
    every = {need for arm in plan.arms for piece in plan.targets(arm, arm.candidates[0])
             for need in piece.with_dependencies()}
    assert sum(piece.kind == LOGS for piece in every) == 1
    for arm in plan.arms:
        assert len(arm.candidates) <= 10
        assert len({plan.settings_digest(arm, settings) for settings in arm.candidates}) == len(arm.candidates)


def test_the_demos_experiment_contains_every_kind_of_arm():
    plan = Plan(EXPERIMENTS / "completejourney.yaml", Selection())
    assert len(plan.arms) >= 12
    assert len(plan.seeds) == 3
    text = json.dumps([arm.candidates for arm in plan.arms])
    for word in ("meda", "interval_decay", "embedding_l2", "early_stopping", "frozen_then_trainable", "fresh_dim",
                 "distillation", "cosine_contrastive", "allow_overlap", "pretraining.epochs"):
        assert word in text
    stage_one = {plan.config(arm, arm.candidates[0]).pretraining.epochs for arm in plan.arms}
    assert stage_one == {0, 1, 3, 6, 12}


def test_no_outcome_of_a_click_is_an_input():
    tree = yaml.safe_load((EXPERIMENTS / "configs" / "kuairand.yaml").read_text())
    schema = Config.model_validate(tree).schema_
    assert not OUTCOMES & {feature.source_column for feature in schema.features}
    assert not schema.labels
    assert not re.search("|".join(OUTCOMES), (EXPERIMENTS / "kuairand.yaml").read_text())


def test_a_repeated_seed_is_refused(plan):
    """A repeated run would look like two seeds that agree exactly."""
    with pytest.raises(UserError, match="--seed 4 --seed 4: list each seed once"):
        plan({"scratch": {}}, Selection(seeds=[4, 4]))


def test_a_repeated_arm_is_refused(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text("title: test\narms:\n  warm: {}\n  warm: {set: {arm.transfer: warm_start}}\n")
    with pytest.raises(UserError, match=r"key 'warm' occurs twice in .* line 4, column 3"):
        Plan(path, Selection())
