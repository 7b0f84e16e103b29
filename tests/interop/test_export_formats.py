"""Exported rows, read by other libraries: ids, vectors and counts, without shared and free rows."""

import importlib
import itertools
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from handmade_rows import TABLES, save_rows

import tfrs_pretrain as tp
from tfrs_pretrain.interop import id_rows
from tfrs_pretrain.interop.export import FORMATS, export_rows
from tfrs_pretrain.vocabulary import Vocabulary

# Written down by hand: ids in row order, their rows in TABLES, their counts.
IDS = {"item": ["é", "b", "", "cc"], "user": [5, -9, 7, 2**40]}
ROWS = {"item": [2, 4, 5, 6], "user": [3, 4, 5, 6]}
COUNTS = {"item": [4, 3, 2, 0], "user": [6, 3, 2, 1]}
VECTORS = {name: TABLES[name][rows] for name, rows in ROWS.items()}
UNIT = {name: rows / np.linalg.norm(rows, axis=1, keepdims=True) for name, rows in VECTORS.items()}


def check(name, ids, vectors, counts):
    assert list(ids) == IDS[name]
    np.testing.assert_array_equal(np.asarray(vectors, np.float32), VECTORS[name])
    assert list(counts) == COUNTS[name]


@pytest.fixture(params=["one block", "several blocks"])
def export(request, opened_rows, tmp_path, monkeypatch):
    """Exports and returns the folder; blocks of three ids show that their borders do not matter."""
    if request.param == "several blocks":
        monkeypatch.setattr(id_rows, "BLOCK", 3)

    def run(file_format, **options):
        export_rows(opened_rows, tmp_path / "out", file_format, **options)
        return tmp_path / "out"

    return run


@pytest.mark.parametrize("name", ["item", "user"])
class TestReaders:
    def test_parquet(self, name, export):
        table = pq.read_table(export("parquet") / f"{name}.parquet")
        assert table.schema.field("vector").type == pa.list_(pa.float32())
        check(name, *(table[column].to_pylist() for column in ("id", "vector", "count")))

    def test_parquet_read_by_pandas(self, name, export):
        frame = pd.read_parquet(export("parquet") / f"{name}.parquet")
        check(name, frame["id"], np.stack(frame["vector"]), frame["count"])

    def test_npz(self, name, export):
        with np.load(export("npz") / f"{name}.npz", allow_pickle=False) as arrays:
            check(name, arrays["ids"].tolist(), arrays["rows"], arrays["counts"])

    def test_csv(self, name, export):
        frame = pd.read_csv(export("csv") / f"{name}.csv", keep_default_na=False)
        assert list(frame) == ["id", "count", "v0", "v1", "v2"]
        check(name, frame["id"], frame[["v0", "v1", "v2"]], frame["count"])

    def test_tfrecord(self, name, export):
        id_type = tf.string if name == "item" else tf.int64
        features = {"id": tf.io.FixedLenFeature([], id_type), "vector": tf.io.FixedLenFeature([3], tf.float32),
                    "count": tf.io.FixedLenFeature([], tf.int64)}
        records = [tf.io.parse_single_example(record, features)
                   for record in tf.data.TFRecordDataset(str(export("tfrecord") / f"{name}.tfrecord"))]
        ids = [record["id"].numpy() for record in records]
        check(name, [value.decode() for value in ids] if name == "item" else ids,
              [record["vector"] for record in records], [int(record["count"]) for record in records])

    def test_safetensors(self, name, export):
        load = pytest.importorskip("safetensors.numpy").load_file
        tensors = load(export("safetensors") / f"{name}.safetensors")
        if name == "user":
            ids = tensors["ids"].tolist()
        else:
            text, ends = tensors["id_bytes"].tobytes(), tensors["id_offsets"]
            ids = [text[start:end].decode() for start, end in itertools.pairwise(ends)]
        check(name, ids, tensors["rows"], tensors["counts"].tolist())

    def test_faiss(self, name, export):
        faiss = pytest.importorskip("faiss")
        folder = export("faiss")
        index = faiss.read_index(str(folder / f"{name}.faiss"))
        np.testing.assert_allclose(index.reconstruct_n(0, 4), UNIT[name], rtol=1e-6)
        scores, found = index.search(np.float32(UNIT[name]), 4)
        expected = UNIT[name] @ UNIT[name].T
        np.testing.assert_array_equal(found, np.argsort(-expected, axis=1))
        np.testing.assert_allclose(scores, -np.sort(-expected, axis=1), rtol=1e-5)
        assert pq.read_table(folder / f"{name}.ids.parquet").to_pydict() == {"id": IDS[name], "count": COUNTS[name]}

    def test_hnswlib(self, name, export):
        hnswlib = pytest.importorskip("hnswlib")
        folder = export("hnswlib")
        index = hnswlib.Index("ip", 3)
        index.load_index(str(folder / f"{name}.hnswlib"))
        found, distances = index.knn_query(np.float32(UNIT[name]), 4)
        expected = UNIT[name] @ UNIT[name].T
        np.testing.assert_array_equal(found, np.argsort(-expected, axis=1))
        np.testing.assert_allclose(1 - distances, -np.sort(-expected, axis=1), rtol=1e-4, atol=1e-6)
        assert pq.read_table(folder / f"{name}.ids.parquet")["id"].to_pylist() == IDS[name]


def test_vectors_of_an_inner_product_index_are_the_rows(tmp_path):
    faiss = pytest.importorskip("faiss")
    opened = tp.Embeddings.open(save_rows(tmp_path / "rows", normalize=False))
    assert export_rows(opened, tmp_path / "out", "faiss", tables=["user"])["similarity"] == "inner product"
    index = faiss.read_index(str(tmp_path / "out" / "user.faiss"))
    np.testing.assert_array_equal(index.reconstruct_n(0, 4), VECTORS["user"])
    assert not (tmp_path / "out" / "item.faiss").exists()


def test_the_manifest_says_what_was_exported(export, opened_rows):
    folder = export("parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["kind"] == "embeddings_export"
    assert manifest["tables"] == {"user": {"ids": 4, "dim": 3}, "item": {"ids": 4, "dim": 3}}
    assert (manifest["format"], manifest["similarity"]) == ("parquet", "cosine")
    before = (folder / "item.parquet").stat().st_mtime_ns
    assert export_rows(opened_rows, folder, "parquet")["run_digest"] == manifest["run_digest"]  # kept
    assert (folder / "item.parquet").stat().st_mtime_ns == before
    with pytest.raises(tp.UserError, match="is not empty: pass --overwrite"):
        export_rows(opened_rows, folder, "csv")
    export_rows(opened_rows, folder, "csv", overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == ["item.csv", "manifest.json", "user.csv"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_table_without_ids_is_exported_empty(file_format, tmp_path):
    if file_format in ("safetensors", "hnswlib", "faiss"):
        pytest.importorskip(file_format)
    empty = Vocabulary(pa.array([], pa.string()), np.array([], np.int64), oov_rows=7)
    save_rows(tmp_path / "rows", item=empty)
    assert export_rows(tp.Embeddings.open(tmp_path / "rows"), tmp_path / "out", file_format, tables=["item"])[
        "tables"] == {"item": {"ids": 0, "dim": 3}}


@pytest.mark.parametrize(("arguments", "message"), [
    (("xlsx",), "format 'xlsx' is unknown: choose one of parquet, npz, tfrecord, csv, safetensors, hnswlib, faiss"),
    (("csv", ["shop"]), "no table 'shop'"),
])
def test_unknown_names_are_refused_before_anything_is_written(arguments, message, opened_rows, tmp_path):
    with pytest.raises(tp.UserError, match=message):
        export_rows(opened_rows, tmp_path / "out", arguments[0], tables=arguments[1] if arguments[1:] else ())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("file_format", ["safetensors", "hnswlib", "faiss"])
def test_a_missing_package_is_named_and_nothing_is_left(file_format, opened_rows, tmp_path, monkeypatch):
    imported = importlib.import_module

    def without(name, *arguments):
        if name.startswith(file_format):
            raise ImportError(f"No module named {name!r}")
        return imported(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(tp.UserError, match="pip install"):
        export_rows(opened_rows, tmp_path / "out", file_format)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows"]
