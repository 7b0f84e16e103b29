"""The folder of a dataset: names, columns, sizes, vocabularies."""

import json

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.data.batch_ids import format_id_pairs
from tfrs_pretrain.data.dataset import (
    Dataset,
    compression_type,
    impression_columns,
    list_columns,
    pair_columns,
    record_columns,
    shard_path,
)
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.vocabulary import Vocabulary

SCHEMA = {
    "user": {"column": "u", "dtype": "int64", "oov_rows": 2}, "item": {"column": "i", "dtype": "string"},
    "time": "ts", "window": "day", "label": "clicked", "labels": ["liked"],
    "features": [{"name": "place", "source": "impressions", "kind": "categorical", "dtype": "string"},
                 {"name": "price", "source": "items", "kind": "numeric", "dtype": "float32", "privileged": True},
                 {"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "int64", "max_values": 3}]}
WINDOWS = {name: {"start": start, "end": start + 1} for start, name in enumerate(
    ("pretrain", "train", "validation", "test"))}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vocabulary").mkdir()
    (tmp_path / "pairs").mkdir()
    users, items = Vocabulary(pa.array([7, 5]), np.array([3, 1]), 2), Vocabulary(pa.array(["x"]), np.array([4]), 1)
    for name, vocabulary in (("user", users), ("item", items)):
        vocabulary.save(tmp_path / "vocabulary" / f"{name}.parquet")
    np.save(tmp_path / "pairs" / "candidate_probability.npy", np.array([0.0, 1.0]))
    (tmp_path / "pairs" / "train-00000-of-00001.tfrecord").write_bytes(b"12345")
    info = {"kind": "dataset", "config": {"schema": SCHEMA, "windows": WINDOWS}, "relations": ["buy"],
            "numeric": {"price": {"mean": 1.5, "std": 2.0}},
            "vocabularies": {"user": {"rows": 4, "digest": users.digest}, "item": {"rows": 2, "digest": items.digest}},
            "splits": {"pairs/train": {"examples": 4, "shards": [
                {"path": "pairs/train-00000-of-00001.tfrecord", "bytes": 5}]}}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    return tmp_path


def test_ids_are_looked_up_in_the_file_beside_the_vocabulary(folder):
    users, file = pa.array([5, 7]), folder / "vocabulary" / "user.lookup.arrow"
    older = Dataset.open(folder)  # its manifest lists no files
    assert older.id_lookup("user").lookup(users).tolist() == [3, 2]
    older.vocabulary("user").id_lookup.save(file)
    write_manifest(folder, "dataset", older.info, name="dataset_info.json")
    dataset = Dataset.open(folder)
    (folder / "vocabulary" / "user.parquet").rename(folder / "moved")
    assert dataset.id_lookup("user").lookup(users).tolist() == [3, 2]
    (folder / "moved").rename(folder / "vocabulary" / "user.parquet")
    assert dataset.vocabulary("user").lookup(users).tolist() == [3, 2]
    assert dataset.id_lookup("item").lookup(pa.array(["x"])).tolist() == [1]  # without a file
    IdLookup.from_ids(users, np.array([2, 3]), oov_rows=2, num_rows=4, digest="other").save(file)
    with pytest.raises(UserError, match=r"user\.lookup\.arrow': expected \d+ bytes with CRC-32C"):
        dataset.vocabulary("user").lookup(users)
    write_manifest(folder, "dataset", older.info, name="dataset_info.json")
    for read in (Dataset.open(folder).id_lookup, Dataset.open(folder).vocabulary):
        with pytest.raises(UserError, match=r"user\.lookup\.arrow' belongs to another vocabulary"):
            read("user").lookup(users)


def test_shards_are_numbered_in_five_digits():
    assert shard_path("pairs/train", 3, 12) == "pairs/train-00003-of-00012.tfrecord"
    assert shard_path("impressions/test", 0, 1, compressed=True) == "impressions/test-00000-of-00001.tfrecord.gz"
    assert [compression_type(path) for path in ("a.tfrecord", "a.tfrecord.gz", "a.gz/b.tfrecord")] == ["", "GZIP", ""]


def test_pairs_have_a_weight_where_there_is_a_relation():
    assert pair_columns(Schema.model_validate(SCHEMA)) == {"query": "int32", "candidate": "int32"}
    assert pair_columns(Schema.model_validate(SCHEMA | {"relation": "action"})) == {
        "query": "int32", "candidate": "int32", "relation": "int32", "weight": "float32"}


def test_records_have_columns_of_one_value_first():
    schema = Schema.model_validate(SCHEMA | {"request": "ts", "history": {"length": 4}})
    one = {"key": "int64", "user_id": "int64", "item_id": "string", "user": "int64", "item": "int64",
           "label": "float32", "liked": "float32", "request": "int64", "place": "int64", "price": "float32"}
    assert impression_columns(schema) == one
    assert list_columns(schema) == {"tags": 3, "history": 4}
    assert list(record_columns(schema)) == [*one, "tags", "history"]
    assert "request" not in impression_columns(Schema.model_validate(SCHEMA))


def test_an_open_dataset_tells_what_it_contains(folder):
    dataset = Dataset.open(str(folder))
    assert dataset.files("pairs/train") == [str(folder / "pairs" / "train-00000-of-00001.tfrecord")]
    assert (dataset.num_examples("pairs/train"), dataset.num_rows("user"), dataset.num_rows("item")) == (4, 4, 2)
    assert (dataset.relations, dataset.moments) == (("buy",), {"price": {"mean": 1.5, "std": 2.0}})
    assert (dataset.schema.user.oov_rows, str(dataset.windows.test)) == (2, "[3, 4)")
    assert dataset.vocabulary("user").ids.to_pylist() == [7, 5]
    assert dataset.digests == {name: dataset.vocabulary(name).digest for name in ("user", "item")}


def test_probabilities_have_a_floor_of_one_pair(folder):
    dataset = Dataset.open(folder)
    assert dataset.candidate_probability.tolist() == [0.0, 1.0]
    assert dataset.sampling_probability.tolist() == [0.25, 1.0]


@pytest.mark.parametrize(("content", "found"), [(b"123456", "6 bytes"), (b"", "0 bytes"), (None, "no file")])
def test_a_shard_of_another_size_is_named(folder, content, found):
    path = folder / "pairs" / "train-00000-of-00001.tfrecord"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        Dataset.open(folder)
    assert f"dataset shard {str(path)!r}: expected 5 bytes, found {found}; copy" in str(caught.value)


def test_another_kind_needs_to_be_asked_for(folder):
    info = json.loads((folder / "dataset_info.json").read_text()) | {"kind": "impressions"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="contains 'impressions', expected 'dataset'"):
        Dataset.open(folder)
    assert Dataset.open(folder, ("dataset", "impressions")).num_rows("user") == 4


def test_a_vocabulary_of_another_dataset_is_refused(folder):
    Vocabulary(pa.array([5, 7]), np.array([3, 1]), 2).save(folder / "vocabulary" / "user.parquet")
    with pytest.raises(UserError, match=r"user\.parquet' is not the one this dataset was built with \(digest"):
        Dataset.open(folder).vocabulary("user")
    (folder / "vocabulary" / "item.parquet").unlink()
    with pytest.raises(UserError, match=r"item\.parquet' cannot be read"):
        Dataset.open(folder).vocabulary("item")


def test_pairs_are_shown_by_their_first_ids(folder):
    dataset = Dataset.open(folder)
    assert format_id_pairs(dataset, [2, 3, 1], [1, 0, 1]) == (
        "(7, 'x'), (5, out-of-vocabulary row 0), (out-of-vocabulary row 1, 'x')")
    assert format_id_pairs(dataset, [2] * 9, [1] * 9) == ", ".join(["(7, 'x')"] * 5)
    assert format_id_pairs(dataset, [], []) == ""
