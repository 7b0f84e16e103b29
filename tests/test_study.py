"""A study is read back as written, also after its folder was moved."""

import shutil

import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.study import Failure, Run, StudiedArm, Study, Trial


def example(folder):
    runs = (Run(3, folder / "ranking" / "a-3", None, folder.parent / "elsewhere"),
            Run(4, folder / "ranking" / "a-4", folder / "rows", folder.parent / "elsewhere"))
    arm = StudiedArm("a", {"arm.transfer": "warm_start", "pretraining.epochs": 3}, runs,
                     (Trial({"arm.epochs": 2}, 3, {"auc": 0.7, "log_loss": 0.3}),), (Failure(5, "killed"),))
    return Study(folder, "some study", load_config("completejourney"), "a", (arm,), {"all": 1.5}, 7, ("make it",),
                 {"exposures": "derived"}, None, {"a": 2})


def test_a_saved_study_is_read_back(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    study = example(folder)
    study.save()
    read = Study.open(folder)
    assert read == Study(**{**vars(study), "commands": ["make it"]})


def test_a_moved_folder_keeps_its_runs(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    example(folder).save()
    shutil.move(folder, tmp_path / "moved")
    [arm] = Study.open(tmp_path / "moved").arms
    assert arm.runs[1].ranker == tmp_path / "moved" / "ranking" / "a-4"
    assert arm.runs[1].embeddings == tmp_path / "moved" / "rows"
    assert arm.runs[0].embeddings is None
    assert arm.runs[0].dataset == tmp_path / "elsewhere"


def test_a_relative_folder_keeps_its_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    folder = Path("study")
    folder.mkdir()
    example(folder).save()
    [arm] = Study.open(folder).arms
    assert arm.runs[0].ranker == folder / "ranking" / "a-3"


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"has no study\.json"):
        Study.open(tmp_path)
    write_manifest(tmp_path, "study", {"config": load_config("completejourney").resolved()}, name="study.json")
    with pytest.raises(UserError, match="not a study of this version"):
        Study.open(tmp_path)
