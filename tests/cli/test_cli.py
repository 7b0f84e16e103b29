"""The command line in a separate process: help, one-line errors, exit code 2."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from resealed import rewrite

from tfrs_pretrain import __version__
from tfrs_pretrain.cli import application
from tfrs_pretrain.cli.options import open_dataset
from tfrs_pretrain.errors import UserError

COMMANDS = ["demo", "demo-logs", "dataset", "pretrain", "plan-memory", "train-ranker", "export", "compact", "evaluate",
            "promote", "roll-back", "diagnose", "experiment", "report", "retrain", "deploy", "tune", "serve", "query",
            "verify-server", "push", "index", "recommend", "forget", "sign", "sbom", "croissant", "config", "version",
            "embeddings"]


def call(*arguments, folder=None):
    """Runs a command and returns exit code, output, and errors without terminal codes."""
    code = "from tfrs_pretrain.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder,
                          check=False, timeout=120)
    return done.returncode, done.stdout, re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)


def test_help_lists_every_command_in_order():
    code, output, _ = call("--help")
    assert code == 0
    assert re.findall(r"^│ ([a-z][a-z-]*) ", output, re.MULTILINE) == COMMANDS


def test_version_is_printed_alone():
    assert call("version")[:2] == (0, f"{__version__}\n")


@pytest.mark.parametrize(("old", "new"), [("logs", "demo-logs"), ("plan", "plan-memory"), ("rank", "train-ranker")])
def test_a_command_of_version_0_1_still_runs_with_a_notice(old, new, tmp_path):
    options = ["--dataset", "absent", "--output", "out", "--arm", "scratch"]
    options = {"logs": ["--output", "out", "--config", "absent"], "plan": options[:2], "rank": options}[old]
    code, _, errors = call(old, *options, folder=tmp_path)
    notice, error, end = errors.split("\n")
    assert notice == f"deprecated: `{old}` is now `{new}`; the old name will be removed in version 0.3"
    assert error == call(new, *options, folder=tmp_path)[2].strip()
    assert (code, end) == (2, "")


@pytest.mark.parametrize(("arguments", "words"), [
    (["config", "--set", "pretraining.epoch=1"], "unknown key 'pretraining.epoch'"),
    (["config", "--config", "absent.yaml"], "configuration 'absent.yaml' cannot be read"),
    (["demo", "--workdir", "taken"], "workdir 'taken' is not empty"),
    (["demo", "--workdir", "taken/file/deeper"], "Not a directory"),
    (["forget", "--space", "users", "--ids", "ids.txt", "absent"], "--space 'users' is unknown: choose user or item"),
    (["forget", "--space", "user", "--ids", "ids.txt", "absent"], "folder 'absent' does not exist"),
    (["report", "absent"], "study folder 'absent' does not exist"),
    (["dataset", "--raw", "absent", "--output", "out"], "absent"),
    (["pretrain", "--dataset", "absent", "--output", "out"], "dataset folder 'absent' does not exist"),
    (["pretrain", "--dataset", "taken", "--output", "out"], "'taken' has no dataset_info.json"),
    (["plan-memory", "--dataset", "absent"], "dataset folder 'absent' does not exist"),
    (["train-ranker", "--dataset", "absent", "--arm", "scratch", "--output", "out"],
     "dataset folder 'absent' does not exist"),
    (["evaluate", "absent"], "ranker folder 'absent' does not exist"),
    (["evaluate", "absent", "--dataset", "absent"], "dataset folder 'absent' does not exist"),
    (["promote", "absent", "--gate", "absent.yaml", "--first"], "gate 'absent.yaml' cannot be read"),
    (["promote", "absent", "--gate", "absent.yaml"], "either --live MODEL, or --first"),
    (["roll-back", "m", "--models-config", "absent"], "models configuration 'absent' cannot be read"),
    (["serve", "--models-config", "absent"], "models configuration 'absent' cannot be read"),
    (["query", "127.0.0.1:1", "m", "--timeout", "0.5"], "server 127.0.0.1:1 answers UNAVAILABLE"),
    (["verify-server", "127.0.0.1:1", "--model", "absent"], "saved_model folder 'absent/assets.extra' does not exist"),
    (["push", "127.0.0.1:1", "--version", "absent", "--secret", "absent"], "push secret 'absent' cannot be read"),
    (["export", "--dataset", "absent", "--ranker", "r"], "dataset folder 'absent' does not exist"),
    (["index", "--embeddings", "absent", "--output", "out"], "embeddings folder 'absent' does not exist"),
    (["index", "--embeddings", "absent", "--output", "out", "--approximate", "x"], "--approximate 'x' is unknown"),
    (["recommend", "1", "--dataset", "absent", "--embeddings", "e", "--index", "i", "--ranker", "r"],
     "dataset folder 'absent' does not exist"),
])
def test_bad_input_is_one_line_and_exit_code_two(arguments, words, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x")
    code, _, errors = call(*arguments, folder=tmp_path)
    assert code == 2
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert words in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]


def test_unknown_option_is_refused():
    assert call("demo", "--bogus")[0] == 2


def test_config_prints_every_key():
    code, output, _ = call("config", "--set", "seed=99")
    assert code == 0
    assert "seed: 99" in output
    assert "temperature: 0.07" in output


def test_a_dataset_without_a_newer_key_is_still_read(tiny_dataset, tmp_path):
    shutil.copytree(tiny_dataset.folder, tmp_path / "dataset")
    path = tmp_path / "dataset" / "dataset_info.json"
    info = json.loads(path.read_text())
    del info["config"]["schema"]["request"]
    rewrite(path, info)
    assert open_dataset(tmp_path / "dataset", None, None)[1].schema_ == tiny_dataset.schema
    info["config"]["windows"]["test"]["end"] += 1
    rewrite(path, info)
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(tiny_dataset.info["config"]))
    with pytest.raises(UserError, match=r"built with another configuration, first in windows.test.end \(35 there, 34"):
        open_dataset(tmp_path / "dataset", str(config), None)


def test_a_full_disk_is_one_line(monkeypatch, capsys):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(application, "app", full)
    with pytest.raises(SystemExit) as end:
        application.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "error: output: No space left on device: check the path, its permissions and the free space\n")


def test_an_error_of_the_system_in_another_exception_is_one_line(monkeypatch, capsys):
    def fails():
        raise RuntimeError("write error in /x/exact.faiss: 1 != 2 (No space left on device)")

    monkeypatch.setattr(application, "app", fails)
    with pytest.raises(SystemExit) as end:
        application.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "error: '/x/exact.faiss': No space left on device: check the path, its permissions and the free space\n")


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fails():
        raise RuntimeError("bug")

    monkeypatch.setattr(application, "app", fails)
    with pytest.raises(RuntimeError, match="bug"):
        application.main()


def test_the_backend_of_keras_in_the_environment_is_ignored():
    command = ("from tfrs_pretrain.cli import application; application.app = lambda: __import__('keras'); "
               "application.main()")
    for backend in ("torch", "nonsense"):
        done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False, timeout=120,
                              env={**os.environ, "KERAS_BACKEND": backend})
        assert done.returncode == 0, done.stderr
