"""Logs of an experiment: when --data is required, which pieces make them, and fingerprints of provided data."""

import os
from types import SimpleNamespace

import pytest

from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import CompleteJourneyLogs, PlantedLogs, ProvidedLogs
from tfrs_pretrain.experiments.log_sources import check_data, fingerprint, logs_piece

FILES = ("history.parquet", "impressions.parquet", "items.parquet", "users.parquet")
CONFIG = load_config("completejourney")


def experiment(source, **keys):
    kinds = {"completejourney": CompleteJourneyLogs, "planted": PlantedLogs}
    return SimpleNamespace(logs=kinds.get(source, ProvidedLogs)(source=source, **keys))


@pytest.mark.parametrize(("source", "given", "message"), [
    ("raw", False, "name their folder with --data"), ("kuairand", False, "name their folder with --data"),
    ("dataset", False, "name their folder with --data"),
    ("planted", True, "they are generated, so remove --data"),
    ("completejourney", True, "they are generated, so remove --data")])
def test_data_is_required_for_provided_logs_only(tmp_path, source, given, message):
    with pytest.raises(UserError, match=f"logs are '{source}': {message}"):
        check_data(experiment(source), tmp_path if given else None)
    check_data(experiment(source), None if given else tmp_path)


def test_data_must_be_a_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere' is not a folder"):
        check_data(experiment("raw"), tmp_path / "nowhere")


def test_raw_logs_and_datasets_are_not_made(tmp_path):
    assert logs_piece(experiment("raw"), CONFIG, tmp_path) is None
    assert logs_piece(experiment("dataset"), CONFIG, tmp_path) is None


def test_planted_logs_depend_on_their_sizes_and_the_seed():
    piece = logs_piece(experiment("planted", users=7), CONFIG, None)
    assert piece.task == {"source": "planted", "seed": CONFIG.seed, "sizes": {
        "users": 7, "items": 400, "engagements": 20000, "impressions": 8000, "drift": 0.0,
        "new_items": 0.0}}
    assert piece == logs_piece(experiment("planted", users=7), CONFIG, None)
    assert piece != logs_piece(experiment("planted", users=8), CONFIG, None)
    assert piece != logs_piece(experiment("planted", users=7), CONFIG.model_copy(update={"seed": 99}), None)


def test_the_demos_logs_depend_on_the_end_of_pretraining():
    piece = logs_piece(experiment("completejourney"), CONFIG, None)
    assert piece.task["pretrain_end_week"] == CONFIG.windows.pretrain.bounds[1]
    assert "source" not in piece.task["completejourney"]
    later = load_config("completejourney", [
        f"windows.pretrain.end={CONFIG.windows.pretrain.end - 1}"])
    assert piece != logs_piece(experiment("completejourney"), later, None)


def test_converted_logs_depend_on_the_files_and_not_on_their_folder(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in FILES:
            path = tmp_path / folder / name
            path.write_text(name)
            os.utime(path, ns=(0, 10**9))
    first, second = (logs_piece(experiment("kuairand"), CONFIG, tmp_path / folder) for folder in ("a", "b"))
    assert first == second
    assert first.task == {"source": "kuairand", "data": str(tmp_path / "a")}


def files(folder):
    for name in (*FILES, "notes.txt", "sub/more.csv"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("content")
        os.utime(path, ns=(0, 10**9))


@pytest.mark.parametrize(("source", "change", "changes"), [
    ("raw", lambda folder: None, False),
    ("raw", lambda folder: (folder / "notes.txt").write_text("longer content"), True),
    ("raw", lambda folder: os.utime(folder / "sub" / "more.csv", ns=(0, 10**9 + 1)), True),
    ("raw", lambda folder: (folder / "notes.txt").rename(folder / "other.txt"), True),
    ("raw", lambda folder: (folder / "users.parquet").unlink(), True),
    ("kuairand", lambda folder: (folder / "notes.txt").unlink(), False),
    ("kuairand", lambda folder: os.utime(folder / "users.parquet", ns=(0, 5)), True),
    ("dataset", lambda folder: (folder / "users.parquet").unlink(), False),
    ("dataset", lambda folder: (folder / "dataset_info.json").write_text("{ }"), True),
])
def test_a_fingerprint_changes_with_the_data(tmp_path, source, change, changes):
    files(tmp_path)
    (tmp_path / "dataset_info.json").write_text("{}")
    before = fingerprint(source, tmp_path)
    change(tmp_path)
    assert (fingerprint(source, tmp_path) != before) is changes


def test_an_unfinished_dataset_has_no_fingerprint(tmp_path):
    with pytest.raises(UserError, match=r"has no dataset_info\.json, so it is not a finished dataset"):
        fingerprint("dataset", tmp_path)
