"""The contenders of the throughput benchmark do the same work, else their ratios would mean nothing."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
import tensorflow as tf

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def contenders():
    spec = importlib.util.spec_from_file_location("beam_contenders", BENCHMARKS / "beam_contenders.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["beam_contenders"] = module  # Beam's pickler looks transforms up by module name.
    spec.loader.exec_module(module)
    yield module
    del sys.modules["beam_contenders"]


@pytest.fixture(scope="module")
def outputs(contenders, tmp_path_factory) -> dict[str, Path]:
    """Contender -> folder that it wrote, from 3,000 impressions."""
    folder = tmp_path_factory.mktemp("contenders")
    contenders.USERS, contenders.ITEMS, contenders.ENGAGEMENTS = 500, 300, 2000
    contenders.write_logs(folder / "raw", 3000)
    contenders.prepare(folder / "raw", folder / "prepared")
    for name, run in contenders.CONTENDERS.items():
        shutil.copytree(folder / "prepared", folder / name)
        run(contenders.job(folder / "raw", folder / name))
    return {name: folder / name for name in contenders.CONTENDERS}


def _examples(folder: Path) -> list[str]:
    """Every record of a folder without its key, as text, sorted."""
    found = []
    for record in tf.data.TFRecordDataset(sorted(map(str, folder.glob("impressions/*-of-*")))).as_numpy_iterator():
        example = tf.train.Example.FromString(record)
        del example.features.feature["key"]
        found.append(str(sorted((name, str(value)) for name, value in example.features.feature.items())))
    return sorted(found)


def test_pyarrow_alone_writes_the_files_of_the_job(outputs):
    files = [{path.name: path.read_bytes() for path in sorted((outputs[name] / "impressions").glob("*.tfrecord"))}
             for name in ("job", "pyarrow")]
    assert len(files[0]) == 24
    assert files[0] == files[1]


def test_the_job_of_rows_writes_the_same_examples(outputs):
    job, rows = (_examples(outputs[name]) for name in ("job", "row job"))
    assert len(job) == 3000
    assert rows == job


def test_both_counts_agree(outputs):
    counts = [(outputs[name] / "counts.json").read_text() for name in ("count", "count rows")]
    assert counts[0] == counts[1]
    assert counts[0].endswith(", 3000]")
