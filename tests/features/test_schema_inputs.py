"""The schema as a list of inputs, of vocabularies and of record columns."""

import pytest

from tfrs_pretrain.data.dataset import impression_columns, list_columns, record_columns
from tfrs_pretrain.features.base import VocabularyRules
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.serving.graph.inputs import raw_inputs

TREE = {
    "user": {"column": "u", "min_count": 3, "max_size": 100}, "item": {"column": "i", "dtype": "string", "oov_rows": 4},
    "time": "t", "window": "t", "label": "y"}
TAGS = {"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": 2}
PRICE = {"name": "price", "source": "items", "kind": "numeric", "dtype": "float32"}
PLACE = {"name": "place", "source": "impressions", "kind": "categorical", "dtype": "int64", "min_count": 5}
DWELL = {"name": "dwell", "source": "impressions", "kind": "numeric", "dtype": "float32", "privileged": True}


@pytest.fixture
def schema():
    return Schema.model_validate(TREE | {"features": [TAGS, PRICE, PLACE, DWELL], "history": {"length": 7},
                                         "labels": ["liked"], "request": "page"})


def test_inputs_are_the_ids_the_features_as_declared_and_the_history(schema):
    assert list(schema.inputs) == ["user", "item", "tags", "price", "place", "dwell", "history"]
    assert [name for name, kind in schema.inputs.items() if kind.privileged] == ["dwell"]
    assert [kind.raw_name for kind in schema.inputs.values()] == [
        "user_id", "item_id", "tags", "price", "place", "dwell", "history"]
    assert list(Schema.model_validate(TREE).inputs) == ["user", "item"]


def test_a_history_is_of_item_ids(schema):
    history = schema.inputs["history"]
    assert history.record_column == RecordColumn("int64", 7, "item")
    assert (history.raw_input.dtype, history.raw_input.length) == ("string", 7)


def test_vocabularies_are_those_of_ids_and_of_features_with_rows(schema):
    assert schema.vocabularies == {
        "user": VocabularyRules("int64", oov_rows=1, min_count=3, max_size=100),
        "item": VocabularyRules("string", oov_rows=4, min_count=1), "tags": VocabularyRules("string", 1, 1),
        "place": VocabularyRules("int64", 1, 5)}


def test_moments_are_those_of_numbers_privileged_or_not(schema):
    assert [feature.name for feature in schema.moment_features] == ["price", "dwell"]


def test_records_have_single_values_first(schema):
    columns = record_columns(schema)
    assert list(columns) == ["key", "user_id", "item_id", "user", "item", "label", "liked", "request", "price", "place",
                             "dwell", "tags", "history"]
    assert {name: column.vocabulary for name, column in columns.items() if column.vocabulary} == {
        "user": "user", "item": "item", "place": "place", "tags": "tags", "history": "item"}
    assert impression_columns(schema) == {
        "key": "int64", "user_id": "int64", "item_id": "string", "user": "int64", "item": "int64", "label": "float32",
        "liked": "float32", "request": "int64", "price": "float32", "place": "int64", "dwell": "float32"}
    assert list_columns(schema) == {"tags": 2, "history": 7}


def test_a_served_model_has_the_inputs_of_the_columns_that_it_reads(schema):
    found = raw_inputs(schema, ("user", "item", "price", "history"))
    assert {name: single.side for name, single in found.items()} == {
        "user_id": "user", "item_id": "item", "price": "item", "history": "user"}
    assert [name for name, single in found.items() if single.required] == ["user_id", "item_id"]


@pytest.mark.parametrize("name", ["user", "item_id", "key", "history", "request", "liked", "price"])
def test_a_name_is_used_once(name, schema):
    features = [PRICE, PLACE | {"name": name}]
    with pytest.raises(ValueError, match=rf"must be unique .* repeated: \['{name}'\]"):
        Schema.model_validate(schema.model_dump() | {"features": features})


def test_a_schema_is_stored_and_read_without_loss(schema):
    stored = schema.model_dump(mode="json")
    assert Schema.model_validate(stored) == schema
    assert [set(feature) for feature in stored["features"][:2]] == [
        {"name", "source", "column", "kind", "dtype", "privileged", "max_values", "separator", "min_count", "oov_rows"},
        {"name", "source", "column", "kind", "dtype", "privileged", "log1p"}]
