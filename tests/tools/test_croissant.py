"""The Croissant description of a dataset, read by mlcroissant."""

import hashlib

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tfrs_pretrain.cli import app

mlcroissant = pytest.importorskip("mlcroissant")
pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def described(tiny_dataset, tmp_path_factory):
    """(folder of a copy of the dataset, its description as mlcroissant reads it)."""
    import shutil

    folder = shutil.copytree(tiny_dataset.folder, tmp_path_factory.mktemp("croissant") / "dataset")
    path = folder / "croissant.json"
    result = CliRunner().invoke(app, ["croissant", str(folder), "--output", str(path), "--license",
                                      "https://example.com/license"])
    assert result.exit_code == 0, result.output
    return folder, mlcroissant.Dataset(jsonld=str(path))


def test_it_is_valid_and_lists_each_file_with_its_digest(described):
    folder, dataset = described
    assert not dataset.metadata.ctx.issues.errors
    digests = {each.name: each.sha256 for each in dataset.metadata.distribution}
    assert {"golden.parquet", "vocabulary/item.parquet", "pairs/train-00000-of-00002.tfrecord"} < set(digests)
    for name, digest in digests.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_record_sets_have_the_rows_of_the_files(described):
    folder, dataset = described
    for name in ("vocabulary/item", "golden"):
        table = pq.read_table(folder / f"{name}.parquet")
        rows = [[row[f"{name}/{column}"] for column in table.column_names[:2]] for row in dataset.records(name)]
        expected = [[str(value).encode() if isinstance(value, str) else value for value in row.values()]
                    for row in table.select(table.column_names[:2]).to_pylist()]
        assert rows == expected


def test_record_files_are_described_by_their_columns(described):
    sets = {each.name: {field.name for field in each.fields} for each in described[1].metadata.record_sets}
    assert sets["pairs/train"] == {"query", "candidate"}
    assert {"key", "user_id", "label", "quality"} < sets["impressions/test"]
