"""Pieces: names, folders, dependencies, and which settings change a name."""

import pytest

from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, LOGS, RANKER, Piece

WARM = {"arm.transfer": "warm_start"}


def test_a_name_is_a_digest_of_the_inputs_only():
    first, other_task, other_inputs = (Piece.from_inputs("ranker", "warm", inputs, task) for inputs, task in (
        ({"a": 1, "b": 2}, {"x": 1}), ({"b": 2, "a": 1}, {"x": 2}), ({"a": 1, "b": 3}, {"x": 1})))
    assert first == other_task
    assert first != other_inputs
    assert first.name.startswith("warm-")
    assert len(first.name) == len("warm-") + 12


def test_folders_and_titles(tmp_path):
    piece = Piece("ranker", "warm-1", {})
    assert piece.title == "ranker warm-1"
    assert piece.folder(tmp_path) == tmp_path / "pieces" / "ranker" / "warm-1"
    assert piece.console_log(tmp_path) == tmp_path / "console" / "ranker.warm-1.log"


@pytest.mark.parametrize(("kind", "manifest"), [
    (LOGS, "manifest.json"), (DATASET, "dataset_info.json"), (EMBEDDINGS, "manifest.json"), (RANKER, "manifest.json")])
def test_a_piece_is_finished_once_its_manifest_exists(tmp_path, kind, manifest):
    piece = Piece(kind, "p", {})
    piece.folder(tmp_path).mkdir(parents=True)
    assert not piece.is_finished(tmp_path)
    (piece.folder(tmp_path) / manifest).touch()
    assert piece.is_finished(tmp_path)


def test_dependencies_precede_the_piece():
    logs = Piece("logs", "l", {})
    dataset = Piece("dataset", "d", {}, (logs,))
    rows = Piece("embeddings", "e", {}, (dataset,))
    ranker = Piece("ranker", "r", {}, (dataset, rows))
    assert ranker.with_dependencies() == [logs, dataset, rows, ranker]


def names(plan, settings, seed=1):
    """Kind -> name of the pieces of the only arm."""
    planned = plan({"a": {"set": {**WARM, **settings}}})
    ranker = planned.ranker(planned.arms[0], planned.arms[0].candidates[0], seed)
    return {piece.kind: piece.name for piece in ranker.with_dependencies()}


@pytest.mark.parametrize(("settings", "changed"), [
    ({}, set()),
    ({"training.checkpoint_every_steps": 7}, set()),
    ({"training.deterministic": False}, {EMBEDDINGS, RANKER}),
    ({"ranking.learning_rate": 0.5}, {RANKER}),
    ({"ranking.evals_per_epoch": 2}, {RANKER}),
    ({"arm.epochs": 3}, {RANKER}),
    ({"pretraining.learning_rate": 0.5}, {EMBEDDINGS, RANKER}),
    ({"windows.pretrain.end": 18}, {DATASET, EMBEDDINGS, RANKER}),
    ({"dataset.shards": 3}, {DATASET, EMBEDDINGS, RANKER}),
])
def test_a_setting_renames_the_pieces_that_depend_on_it(plan, settings, changed):
    base, other = names(plan, {}), names(plan, settings)
    assert {kind for kind in base if base[kind] != other[kind]} == changed


def test_the_seed_renames_trained_pieces_only(plan):
    first, second = names(plan, {}, 1), names(plan, {}, 2)
    assert {kind for kind in first if first[kind] != second[kind]} == {EMBEDDINGS, RANKER}


def test_settings_of_pretraining_do_not_rename_rankers_from_scratch(plan):
    planned = plan({"a": None, "b": {"set": {"pretraining.epochs": 9}}})
    first, second = (planned.ranker(arm, arm.candidates[0], 1) for arm in planned.arms)
    assert first == second
    assert first.task["embeddings"] is None


def test_an_online_teacher_doubles_the_work(plan):
    planned = plan({"plain": {"set": {"arm.epochs": 3}}, "distilled": {"set": {
        "arm.epochs": 3, "arm.distillation": {"teacher": {"kind": "online", "hidden": [8]}}}},
        "student": {"set": {"arm.epochs": 3}, "teacher": "plain"}})
    work = [planned.ranker(arm, arm.candidates[0], 1).work for arm in planned.arms]
    assert work == [3.5, 6.5, 3.5]
