"""Exports by several processes into one folder, one of which is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tfrs_pretrain.serving.exporting.export import export

pytestmark = pytest.mark.slow
NAME = "planted_ranker"
PROGRAM = Path(__file__).with_name("paused_export.py")


def started(dataset, ranker, models):
    return subprocess.Popen([sys.executable, str(PROGRAM), str(dataset.folder), str(ranker), str(models)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def said(process, words):
    for line in process.stdout:
        if line.startswith(words):
            return line.strip()
    raise AssertionError(f"ended without {words!r}")


def test_two_exports_get_two_versions_and_a_killed_one_leaves_none(tmp_path, planted_config, tiny_dataset,
                                                                   ranker_folder):
    folder = tmp_path / NAME
    with started(tiny_dataset, ranker_folder, tmp_path) as other, started(tiny_dataset, ranker_folder,
                                                                          tmp_path) as killed:
        assert [said(one, "chose") for one in (other, killed)] == ["chose 1"] * 2
        assert not [path for path in folder.iterdir() if path.name.isdecimal()]
        assert len(list(folder.iterdir())) == 2
        killed.kill()
        killed.wait()
        assert export(planted_config, tiny_dataset, ranker_folder, tmp_path).version == 1
        # The export removed the killed process's folder, kept the other's, and took the version number.
        left = [path.name for path in folder.iterdir()]
        assert len(left) == 2
        other.stdin.write("\n\n")
        other.stdin.flush()
        assert said(other, "exported") == "exported 2"
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    for version in ("1", "2"):
        assert (folder / version / "assets.extra/manifest.json").is_file()


