"""The workdir: one configuration, finished stages kept, later ones renewed."""

import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import staged_folder
from tfrs_pretrain.stages import Workdir


@pytest.fixture
def config():
    return load_config("completejourney")


def run_two(folder, config, *, fail_second=False):
    """Runs stages one and two and returns which of them did any work."""
    ran = []

    def writer(name):
        def write(output):
            ran.append(name)
            if name == "two" and fail_second:
                raise RuntimeError
            with staged_folder(output, overwrite=True) as staged:
                write_manifest(staged, name, {})
        return write

    workdir = Workdir(folder, config)
    for name in ("one", "two"):
        workdir.stage(name, name, name, writer(name))
    return ran


def test_finished_stages_are_kept(tmp_path, config):
    assert run_two(tmp_path / "run", config) == ["one", "two"]
    assert run_two(tmp_path / "run", config) == []


def test_an_interrupted_run_continues(tmp_path, config):
    with pytest.raises(RuntimeError):
        run_two(tmp_path / "run", config, fail_second=True)
    assert run_two(tmp_path / "run", config) == ["two"]


def test_a_renewed_stage_renews_what_follows(tmp_path, config):
    run_two(tmp_path / "run", config)
    (tmp_path / "run" / "one" / "manifest.json").unlink()
    assert run_two(tmp_path / "run", config) == ["one", "two"]


def test_seconds_and_memory_are_recorded(tmp_path, config):
    run_two(tmp_path / "run", config)
    workdir = Workdir.reopen(tmp_path / "run")
    assert workdir.seconds("one", "two") >= 0
    assert workdir.costs["one"]["peak_rss_bytes"] > 10e6
    with pytest.raises(UserError, match="stage 'three' has not finished"):
        workdir.seconds("three")


def test_another_configuration_is_refused_by_key(tmp_path, config):
    Workdir(tmp_path / "run", config)
    other = load_config("completejourney", ["pretraining.epochs=9"])
    with pytest.raises(UserError, match=r"pretraining\.epochs \(6 there, 9 here\)"):
        Workdir(tmp_path / "run", other)


def test_a_strange_folder_is_refused(tmp_path, config):
    (tmp_path / "note").write_text("mine")
    with pytest.raises(UserError, match="not empty and has no config"):
        Workdir(tmp_path, config)
    with pytest.raises(UserError, match="is a file"):
        Workdir(tmp_path / "note", config)
    with pytest.raises(UserError, match="not the workdir of a run"):
        Workdir.reopen(tmp_path)
