"""Runs the tutorial's files and commands exactly as shown, except blocks that are marked as not tested.

Its two ports are exchanged for free ones, so that nothing else on the machine matters.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from processes import two_free_ports

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r'^(?:<!-- (not tested): .* -->\n)?```(\w+)(?: title="([^"]+)")?\n(.*?)^```$',
                   re.MULTILINE | re.DOTALL)
# One process for all `tfrs-pretrain` lines: TensorFlow loads once, not for each. A line that ends in & is a server,
# which is waited for until it says that it listens.
SHELL = textwrap.dedent("""
    import runpy, shlex, subprocess, sys
    from tfrs_pretrain.cli import app
    servers = []

    def run(words):
        if words[-1] == "&":
            main = "from tfrs_pretrain.cli import main; main()"
            started = [sys.executable, "-c", main, *words[1:-1]]
            servers.append(subprocess.Popen(started, stdout=subprocess.PIPE, text=True))
            print(servers[-1].stdout.readline())
        elif words[0] == "kill":
            servers.pop().terminate()
        elif words[0] == "tfrs-pretrain":
            app(words[1:], standalone_mode=False)
        elif words[:2] == ["python", "-m"]:
            sys.argv[1:] = words[3:]
            runpy.run_module(words[2], run_name="__main__")
        else:
            assert words[0] == "python", words
            subprocess.run([sys.executable, *words[1:]], check=True)

    try:
        for line in open("typed.txt").read().splitlines():
            print(f"$ {line}", flush=True)
            try:
                run(shlex.split(line))
            except SystemExit as end:
                assert not end.code, end.code
        print("every line has run")
    finally:
        for server in servers:
            server.kill()
""")


def blocks():
    """Returns (language, file to save it in or empty, text) of every tested block, in order."""
    return [block for skipped, *block in BLOCK.findall(PAGE.read_text()) if not skipped]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Returns a folder after all steps of the page, and the output."""
    folder = tmp_path_factory.mktemp("tutorial")
    lines = []
    for language, title, text in blocks():
        if title:
            (folder / title).parent.mkdir(exist_ok=True)
            with (folder / title).open("a") as file:  # pieces of a file follow one another
                file.write(text)
        elif language == "sh":
            lines += text.replace("\\\n", " ").splitlines()
    typed = "\n".join(lines)
    for port, free in zip(("28500", "28501"), two_free_ports(), strict=True):
        assert port in typed
        typed = typed.replace(port, str(free))
    (folder / "typed.txt").write_text(typed)
    done = subprocess.run([sys.executable, "-c", SHELL], cwd=folder, capture_output=True, text=True,
                          timeout=1200, check=False,
                          env=os.environ | {"COLUMNS": "120", "PYTHONPATH": os.pathsep.join(sys.path)})
    assert "every line has run" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    return folder, done.stdout


def test_only_the_docker_command_is_skipped():
    left_out = [text for skipped, _, _, text in BLOCK.findall(PAGE.read_text()) if skipped]
    assert len(left_out) == 1
    assert left_out[0].startswith("docker run")
    tested = [shlex.split(line)[1] for language, _, text in blocks() if language == "sh"
              for line in text.splitlines() if line.startswith("tfrs-pretrain")]
    assert tested == ["config", "dataset", "plan-memory", "diagnose", "pretrain", "train-ranker",
                      "train-ranker", "evaluate", "tune", "export", "promote", "serve", "verify-server", "query",
                      "index", "recommend"]


@pytest.mark.slow
def test_pretraining_improves_auc_as_documented(followed):
    folder, _ = followed
    [everything] = [part for part in json.loads((folder / "runs" / "comparison.json").read_text())["parts"]
                    if part["slicing"] == "all"]
    assert everything["differences"]["model"]["auc"]["low"] > 0.05


@pytest.mark.slow
def test_the_race_decides_and_writes_its_page(followed):
    folder, seen = followed
    result = json.loads((folder / "runs" / "tune" / "tune.json").read_text())
    assert {"full_rate", "twice_the_epochs"} < result["candidates"].keys()
    assert result["decision"]["reason"][1:] in seen.replace("\n", " ")
    assert (folder / "runs" / "tune" / "tuned.yaml").is_file()
    assert (folder / "runs" / "tune" / "tune.html").is_file()


@pytest.mark.slow
def test_the_dataset_step_prints_what_the_page_shows(followed):
    _, seen = followed
    shown = re.search(r"^```text\n(┃.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]
    assert set(shown.splitlines()) <= set(seen.splitlines())


@pytest.mark.slow
def test_every_documented_file_is_written(followed):
    folder, seen = followed
    assert (folder / "models" / "shop_ranker" / "1" / "saved_model.pb").is_file()
    assert (folder / "runs" / "diagnosis" / "diagnosis.json").is_file()
    assert json.loads((folder / "runs" / "validation.json").read_text())
    assert 'version_labels { key: "stable" value: 1 }' in (folder / "models" / "models.config").read_text()
    assert "promoted" in seen
    assert "recall@10" in seen
    assert "user v00007" in seen
