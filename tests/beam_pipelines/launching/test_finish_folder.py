"""The files that a finished folder keeps although workers were killed or still run."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.launching import finish_folder as finishing
from beam_pipelines.launching import output_folder as output_folder_module
from beam_pipelines.launching.finish_folder import finish_folder
from beam_pipelines.launching.output_folder import list_files, output_folder

KILLED_WRITER = """
import os, signal, sys
from beam_pipelines.records.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "out"


def _write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def test_the_temporary_file_of_a_killed_worker_is_not_kept(folder):
    with output_folder(str(folder), overwrite=False) as output:
        _write(Path(output.folder), "pairs/.x.12345678.parquet")
        killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, f"{output.folder}/pairs/x"], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert len(list_files(output.folder)) == 3
        finish_folder(output.folder, "dataset", {})
    assert list_files(str(folder)) == ["dataset_info.json", "pairs/.x.12345678.parquet"]
    assert list(json.loads((folder / "dataset_info.json").read_text())["files"]) == ["pairs/.x.12345678.parquet"]


def test_results_of_a_worker_that_still_runs_are_not_kept(folder, monkeypatch):
    """After a lost connection, an engine repeats a bundle elsewhere while the first worker completes it."""
    with output_folder(str(folder), overwrite=False) as output:
        _write(Path(output.folder), ".results/account.json", "vocabulary/x")
        describe, delete = finishing.describe_file, output_folder_module.delete

        def late_write(path):
            _write(Path(output.folder), ".results/late.json", "pairs/.x.0123abcd")
            return describe(path)

        def late_delete(paths):
            (Path(output.folder) / "pairs" / ".x.0123abcd").unlink(missing_ok=True)
            delete(paths)

        monkeypatch.setattr(finishing, "describe_file", late_write)
        monkeypatch.setattr(output_folder_module, "delete", late_delete)
        finish_folder(output.folder, "dataset", {})
    assert list_files(str(folder)) == ["dataset_info.json", "vocabulary/x"]
    assert not (folder / ".results").exists()


def test_results_that_cannot_be_deleted_are_an_error(folder, monkeypatch):
    def refuse(paths):
        raise BeamIOError("no permission", {path: OSError() for path in paths})

    with pytest.raises(BeamIOError, match="no permission"), output_folder(str(folder), overwrite=False) as output:
        _write(Path(output.folder), ".results/account.json")
        monkeypatch.setattr(output_folder_module, "delete", refuse)
        finish_folder(output.folder, "dataset", {})
