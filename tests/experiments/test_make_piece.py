"""Which stage makes a piece, and with what, with stages that only record their arguments."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from planted import planted_config

from tfrs_pretrain.config import FixedTeacherConfig
from tfrs_pretrain.experiments import make_piece as module
from tfrs_pretrain.experiments.experiment_plan import Selection
from tfrs_pretrain.experiments.make_piece import make_piece

ROOT, OUTPUT = Path("root"), Path("output")
WARM = {"arm.transfer": "warm_start"}


@pytest.fixture
def calls(monkeypatch):
    """Record the calls of the stages: (name, positional arguments, keyword arguments)."""
    recorded = []

    def replace(target, attribute, name):
        monkeypatch.setattr(target, attribute, lambda *args, **keys: recorded.append((name, args, keys)))

    replace(module, "build", "build")
    replace(module, "pretrain", "pretrain")
    replace(module, "train_arm", "train_arm")
    replace(module, "write_planted_logs", "planted")
    replace(module.completejourney, "write_logs", "completejourney")
    replace(module.kuairand, "write_logs", "kuairand")
    replace(module, "check_artifact", "check_artifact")
    monkeypatch.setattr(module, "Dataset", SimpleNamespace(open=lambda folder: ("dataset", folder)))
    return recorded


def make(piece):
    make_piece(piece.kind, piece.task, OUTPUT, ROOT)


def needed(piece, kind):
    [found] = {need for need in piece.with_dependencies() if need.kind == kind}
    return found


def test_planted_logs_are_written_with_their_sizes_and_seed(calls, plan):
    planned = plan({"a": None}, logs={"source": "planted", "users": 7})
    make(planned.planner.logs)
    assert calls == [("planted", (OUTPUT,), {
        "users": 7, "items": 400, "engagements": 20000, "impressions": 8000, "drift": 0.0, "new_items": 0.0,
        "seed": 7, "overwrite": True})]


def test_the_demos_logs_are_written_with_their_settings(calls):
    make_piece("logs", {"source": "completejourney", "completejourney": {"max_households": 60}, "pretrain_end_week": 30,
                        "seed": 4}, OUTPUT, ROOT)
    [(name, (settings, *rest), keys)] = calls
    assert (name, settings.max_households, rest, keys) == ("completejourney", 60, [30, 4, OUTPUT], {"overwrite": True})


def test_provided_files_are_converted(calls):
    make_piece("logs", {"source": "kuairand", "data": "files"}, OUTPUT, ROOT)
    assert calls == [("kuairand", (Path("files"), OUTPUT), {"overwrite": True, "continued": False})]


def test_a_dataset_is_built_from_the_logs_of_the_experiment(calls, plan):
    planned = plan({"a": {"set": {"windows.pretrain.end": 18}}})
    dataset = planned.planner.dataset(planned.config(planned.arms[0], planned.arms[0].candidates[0]))
    make(dataset)
    [checked, (name, (config, *rest), keys)] = calls
    assert checked == ("check_artifact", (planned.planner.logs.folder(ROOT), "logs"), {})
    assert (name, config.windows.pretrain.end, keys) == ("build", 18, {"overwrite": True})
    assert rest == [planned.planner.logs.folder(ROOT), OUTPUT, None]


def test_a_dataset_is_built_from_provided_logs(calls, plan, tmp_path):
    planned = plan({"a": None}, Selection(tmp_path), logs={"source": "raw"})
    make(planned.planner.dataset(planned.config(planned.arms[0], {})))
    assert calls[0][1][1:] == (tmp_path, OUTPUT, None)


def test_embeddings_are_pretrained_with_the_seed(calls, plan):
    planned = plan({"a": {"set": {**WARM, "pretraining.epochs": 5}}})
    ranker = planned.ranker(planned.arms[0], planned.arms[0].candidates[0], 2)
    make(needed(ranker, "embeddings"))
    [(name, (config, dataset, output), keys)] = calls
    assert (name, config.seed, config.pretraining.epochs) == ("pretrain", 2, 5)
    assert (output, keys) == (OUTPUT, {"overwrite": True})
    assert dataset == ("dataset", needed(ranker, "dataset").folder(ROOT))


@pytest.mark.parametrize("test", [True, False])
def test_a_ranker_is_trained_on_its_inputs(calls, plan, test):
    planned = plan({"a": {"set": WARM}})
    ranker = planned.ranker(planned.arms[0], WARM, 2, test=test)
    make(ranker)
    [(name, (config, dataset, arm, output), keys)] = calls
    assert (name, config.seed, arm, output) == ("train_arm", 2, "warm_start", OUTPUT)
    assert dataset == ("dataset", needed(ranker, "dataset").folder(ROOT))
    assert keys == {"embeddings": needed(ranker, "embeddings").folder(ROOT), "overwrite": True, "test": test}


def test_a_ranker_from_scratch_has_no_embeddings_and_no_teacher(calls, plan):
    planned = plan({"a": None})
    make(planned.ranker(planned.arms[0], {}, 1))
    [(_, (config, *_), keys)] = calls
    assert keys["embeddings"] is None
    assert config.ranking.arms["scratch"].distillation is None


def test_a_student_is_trained_with_its_teachers_folder(calls, plan):
    planned = plan({"teacher": {"set": {"arm.epochs": 2}}, "student": {
        "teacher": "teacher", "set": {"arm.distillation.weight": 0.25}}})
    student = planned.ranker(planned.arms[1], planned.arms[1].candidates[0], 1)
    make(student)
    [(_, (config, _, arm, _), _)] = calls
    distillation = config.ranking.arms[arm].distillation
    teacher = planned.ranker(planned.arms[0], {"arm.epochs": 2}, 1)
    assert distillation.teacher == FixedTeacherConfig(path=str(teacher.folder(ROOT)))
    assert distillation.weight == 0.25


def test_a_provided_dataset_is_used_as_it_is(calls):
    config = {"config": planted_config(), "dataset": {"folder": "given"}, "embeddings": None,
              "teacher": None, "arm": "scratch", "test": True}
    make_piece("ranker", config, OUTPUT, ROOT)
    assert calls[0][1][1] == ("dataset", Path("given"))
