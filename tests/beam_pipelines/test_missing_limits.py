"""A feature whose values are missing is found by default: alone, and against an earlier dataset."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines import build_impressions, validate_examples
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.validate_examples import validate

SPLITS = ("train", "validation", "test")


@pytest.fixture
def build(tiny_dataset, planted_logs, tmp_path):
    """Builds impressions whose ``surface`` is null where a mask of the log is true: ``build(mask)``."""
    def built(mask) -> Path:
        logs = Path(shutil.copytree(planted_logs, tmp_path / "logs"))
        table = pq.read_table(logs / "impressions.parquet")
        surface = pa.array([None if missing else value for missing, value in zip(
            mask(table), table["surface"].to_pylist(), strict=True)], pa.string())
        pq.write_table(table.set_column(table.schema.get_field_index("surface"), "surface", surface),
                       logs / "impressions.parquet")
        build_impressions.run([f"--vocabulary={tiny_dataset.folder}", f"--raw={logs}", f"--output={tmp_path / 'out'}"])
        return tmp_path / "out"
    return built


def _violations(folder: Path, *arguments: str) -> set[tuple[str, str, str]]:
    report = folder.parent / "report.json"
    validate(pipeline_options([f"--dataset={folder}", f"--report={report}", *arguments]))
    return {(check["threshold"], check["split"].rpartition("/")[2], check["column"])
            for check in json.loads(report.read_text())["violations"]}


def test_a_column_without_values_is_found(build, tiny_dataset, tmp_path):
    folder = build(lambda table: np.ones(table.num_rows, bool))
    missing = {("max_missing_share", split, "surface") for split in SPLITS}
    assert _violations(folder) == missing
    assert _violations(folder, f"--against={tiny_dataset.folder}") == missing | {
        ("max_missing_shift", split, "surface") for split in SPLITS}
    done = subprocess.run([sys.executable, "-m", "beam_pipelines.validate_examples", f"--dataset={folder}",
                           f"--report={tmp_path / 'report.json'}"], capture_output=True, text=True, check=False,
                          cwd=Path(validate_examples.__file__).parents[1])
    assert done.returncode == 3
    assert "✗ max_missing_share: 1 > 0.99 in impressions/train surface" in done.stdout


def test_a_column_that_is_missing_from_some_day_on_is_found(build, tiny_dataset):
    """A third of the last window's values: too few for the absolute limit."""
    folder = build(lambda table: (np.array(table["day"]) >= 30) & (np.arange(table.num_rows) % 3 == 0))
    assert _violations(folder) == {("max_missing_shift", "test", "surface")}
    assert _violations(folder, "--max_missing_shift=0.5") == set()
    assert _violations(folder, f"--against={tiny_dataset.folder}") == {("max_missing_shift", "test", "surface")}
