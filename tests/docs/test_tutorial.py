"""The tutorial's files and commands, run as they stand in the page; only what is marked as not tested is left out."""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r'^(?:<!-- (not tested): .* -->\n)?```(\w+)(?: title="([^"]+)")?\n(.*?)^```$',
                   re.MULTILINE | re.DOTALL)
# One process for all `tfrs-pretrain` lines: TensorFlow loads once, not for each.
SHELL = textwrap.dedent("""
    import os, runpy, shlex, subprocess, sys
    from tfrs_pretrain.cli import app
    for number, line in enumerate(open(sys.argv[1]).read().splitlines()):
        words = shlex.split(line)
        print(f"$ {line}", flush=True)
        try:
            if words[0] == "tfrs-pretrain":
                app(words[1:], standalone_mode=False)
            elif words[:2] == ["python", "-m"]:
                sys.argv[1:] = words[3:]
                runpy.run_module(words[2], run_name="__main__")
            else:
                subprocess.run([sys.executable, *words[1:]] if words[0] == "python" else words, check=True)
        except SystemExit as end:
            assert not end.code, (line, end.code)
    print("every line has run")
""")


def blocks():
    """(language, file to save it in or none, text) of every block that is tested, in order."""
    return [block for skipped, *block in BLOCK.findall(PAGE.read_text()) if not skipped]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A folder in which somebody followed the page to its end, and what they saw."""
    folder = tmp_path_factory.mktemp("tutorial")
    lines = []
    for language, title, text in blocks():
        if title:
            with (folder / title).open("a") as file:  # pieces of a file follow one another
                file.write(text)
        elif language == "sh":
            lines += text.replace("\\\n", " ").splitlines()
    (folder / "typed.txt").write_text("\n".join(lines))
    done = subprocess.run([sys.executable, "-c", SHELL, "typed.txt"], cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"COLUMNS": "120"}, timeout=600, check=False)
    assert "every line has run" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    return folder, done.stdout


def test_only_docker_is_left_out():
    left_out = [text for skipped, _, _, text in BLOCK.findall(PAGE.read_text()) if skipped]
    assert len(left_out) == 1
    assert left_out[0].startswith("docker run")
    tested = [shlex.split(line)[1] for language, _, text in blocks() if language == "sh"
              for line in text.splitlines() if line.startswith("tfrs-pretrain")]
    assert tested == ["config", "dataset", "plan", "diagnose", "pretrain", "rank", "rank", "evaluate", "promote",
                      "export"]


@pytest.mark.slow
def test_pretraining_helps_as_the_page_says(followed):
    folder, _ = followed
    [everything] = [part for part in json.loads((folder / "runs" / "comparison.json").read_text())["parts"]
                    if part["slicing"] == "all"]
    assert everything["differences"]["model"]["auc"]["low"] > 0.05


@pytest.mark.slow
def test_everything_that_the_page_promises_is_there(followed):
    folder, seen = followed
    assert (folder / "models" / "shop_ranker" / "1" / "saved_model.pb").is_file()
    assert (folder / "runs" / "diagnosis" / "diagnosis.json").is_file()
    assert json.loads((folder / "runs" / "validation.json").read_text())
    assert (folder / "runs" / "warm_start.promotion.json").is_file()
    assert "promoted" in seen
