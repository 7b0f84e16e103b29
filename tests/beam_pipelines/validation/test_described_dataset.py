"""Manifests to files and expected columns."""

import json

import pyarrow as pa
import pytest

from beam_pipelines.transforms.vocabularies import save_vocabulary
from beam_pipelines.validation import dataset as dataset_module
from beam_pipelines.validation.dataset import DescribedDataset, ExpectedColumn
from beam_pipelines.validation.record_statistics import VocabularyRows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.vocabulary import Vocabulary

SCHEMA = {"user": {"column": "u", "dtype": "int64"}, "item": {"column": "i", "dtype": "string"}, "time": "t",
          "window": "w", "label": "y", "labels": ["liked"], "relation": "r", "history": {"length": 3},
          "features": [{"name": "price", "source": "items", "kind": "numeric", "dtype": "float32"},
                       {"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": 2}]}
ROWS = {"user": 10, "item": 1 << 20, "tags": 7}
USER, ITEM = VocabularyRows(2, 10, exact=False), VocabularyRows(2, 1 << 20, exact=False)
TAGS = VocabularyRows(2, 7, exact=True)


@pytest.fixture
def info() -> dict:
    return {"kind": "dataset", "config": {"schema": SCHEMA},
            "splits": {"pairs/train": {"shards": [{"path": "pairs/a"}, {"path": "pairs/b"}]}},
            "vocabularies": {name: {"digest": name, "oov_rows": 2, "rows": rows} for name, rows in ROWS.items()}}


@pytest.fixture
def opened(info, tmp_path):
    def make(**changes) -> DescribedDataset:
        (tmp_path / "dataset_info.json").write_text(json.dumps(info | changes))
        return DescribedDataset.open(str(tmp_path))

    return make


def test_files_are_inside_the_folder(opened, tmp_path):
    assert opened().files("pairs/train") == [f"{tmp_path}/pairs/a", f"{tmp_path}/pairs/b"]


def test_pairs_are_blocks_of_rows(opened):
    assert opened().expected_columns("pairs/heldout") == {
        "query": ExpectedColumn("string", "user", "<i4", rows=USER),
        "candidate": ExpectedColumn("string", "item", "<i4", rows=ITEM),
        "relation": ExpectedColumn("string", block="<i4"), "weight": ExpectedColumn("string", block="<f4")}


IMPRESSIONS = {"key": ExpectedColumn("int64"), "user_id": ExpectedColumn("int64"), "item_id": ExpectedColumn("string"),
               "user": ExpectedColumn("int64", "user", rows=USER), "item": ExpectedColumn("int64", "item", rows=ITEM),
               "label": ExpectedColumn("float32"), "liked": ExpectedColumn("float32"),
               "price": ExpectedColumn("float32"), "tags": ExpectedColumn("int64", "tags", many=True, rows=TAGS),
               "history": ExpectedColumn("int64", "item", many=True, rows=ITEM)}


def test_impressions_are_plain_values(opened):
    assert opened().expected_columns("impressions/test") == IMPRESSIONS


def test_columnar_impressions_are_blocks_with_lengths_of_strings_and_lists(opened):
    columns = opened(impressions_format="columnar").expected_columns("impressions/test")
    lengths = {name: column for name, column in columns.items() if name.endswith(".lengths")}
    assert lengths == dict.fromkeys(["item_id.lengths", "tags.lengths", "history.lengths"],
                                    ExpectedColumn("string", block="<i4"))
    types = {"int64": "<i8", "float32": "<f4", "string": None}
    assert {name: column for name, column in columns.items() if name not in lengths} == {
        name: ExpectedColumn("string", column.vocabulary, types[column.dtype], rows=column.rows)
        for name, column in IMPRESSIONS.items()}


@pytest.mark.parametrize(("rows", "exact"), [(1 << 16, True), ((1 << 16) + 1, False)])
def test_rows_of_large_features_are_counted_by_band(rows, exact, opened):
    vocabularies = {"tags": {"digest": "", "oov_rows": 1, "rows": rows}}
    assert opened(vocabularies=vocabularies).vocabulary_rows("tags") == VocabularyRows(1, rows, exact)
    assert opened(vocabularies=vocabularies).vocabulary_rows("item") is None
    assert dataset_module.MAX_EXACT_ROWS == 1 << 16


@pytest.mark.parametrize(("kind", "expected"), [("dataset", True), ("impressions", True), ("pairs", False)])
def test_pairs_alone_have_no_vocabulary_files(kind, expected, opened):
    assert opened(kind=kind).has_vocabularies == expected
    assert opened(kind=kind).labels == ("label", "liked")


def test_another_vocabulary_file_is_not_loaded(opened, info, tmp_path):
    vocabulary = Vocabulary(pa.array(["a"]), [1], 2)
    entries = info["vocabularies"] | {"tags": {"digest": vocabulary.digest, "oov_rows": 2, "rows": 3}}
    dataset = opened(vocabularies=entries)
    assert dataset.vocabulary("tags") is None
    for name in ("tags", "item"):
        save_vocabulary(vocabulary, str(tmp_path), name)
    assert dataset.vocabulary("tags").ids.to_pylist() == ["a"]
    assert dataset.vocabulary("item") is None
    (tmp_path / "vocabulary" / "tags.parquet").write_bytes(b"damaged")
    assert dataset.vocabulary("tags") is None


def test_another_schema_may_replace_that_of_the_manifest(opened, tmp_path):
    assert opened().schema == Schema.model_validate(SCHEMA)
    other = Schema.model_validate(SCHEMA | {"history": None, "features": []})
    assert "history" not in DescribedDataset.open(str(tmp_path), other).expected_columns("impressions/test")


@pytest.mark.parametrize(("changes", "message"), [
    ({"kind": "vocabulary"}, "describes 'vocabulary', expected dataset or pairs or impressions: name another folder"),
    ({"kind": None}, "describes None"), ({"config": {}}, "has no readable schema"),
    ({"config": {"schema": {}}}, "has no readable schema")])
def test_an_unusable_manifest_is_refused(changes, message, opened):
    with pytest.raises(UserError, match=message):
        opened(**changes)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_a_manifest_is_refused(content, tmp_path):
    if content:
        (tmp_path / "dataset_info.json").write_text(content)
    with pytest.raises(UserError, match=r"has no finished dataset|describes None"):
        DescribedDataset.open(str(tmp_path))
