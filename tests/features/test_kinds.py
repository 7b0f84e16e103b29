"""Each kind from raw columns to records and rows, with literal values in and out."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfrs_pretrain.features.base import VocabularyRules
from tfrs_pretrain.features.categorical import CategoricalFeature
from tfrs_pretrain.features.history import HistoryKind
from tfrs_pretrain.features.ids import IdKind
from tfrs_pretrain.features.multi_valued import MultiValuedFeature
from tfrs_pretrain.features.numeric import NumericFeature
from tfrs_pretrain.features.ranker_input import NumericStatistics, RowInput
from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.vocabulary import Vocabulary

PLACE = CategoricalFeature(name="place", source="impressions", kind="categorical", dtype="string", min_count=2,
                           oov_rows=3)
CODE = CategoricalFeature(name="code", source="items", column="raw_code", kind="categorical", dtype="int64")
PRICE = NumericFeature(name="price", source="items", kind="numeric", dtype="float32")
TAIL = NumericFeature(name="tail", source="users", kind="numeric", dtype="float32", log1p=True, privileged=True)
TAGS = MultiValuedFeature(name="tags", source="items", kind="multi_valued", dtype="string", max_values=2)
MARKS = MultiValuedFeature(name="marks", source="impressions", kind="multi_valued", dtype="int64", max_values=3,
                           separator="|", min_count=4, oov_rows=2)
HISTORY = HistoryKind(2, "int64")
USER = IdKind("user", "user_id", "int64")
ITEM = IdKind("item", "item_id", "string")
FEATURES = (PLACE, CODE, PRICE, TAIL, TAGS, MARKS)
KNOWN = {"place": ["home", "", "日本"], "code": [7, -1], "tags": ["a", "b", "c"], "marks": [1, 2, 3],
         "item": [10, 20, 30], "user": [5, 6]}


class Settings:
    history = "attention"


def rows(name, values):
    """The lookup of a naive vocabulary: place among the known values plus 1; 0 for all others, -9 for null."""
    return np.array([-9 if value is None else KNOWN[name].index(value) + 1 if value in KNOWN[name] else 0
                     for value in pa.array(values).to_pylist()], np.int64)


def graph_rows(name, values):
    decoded = [value.decode() if isinstance(value, bytes) else value for value in values.numpy().tolist()]
    return tf.constant(rows(name, decoded))


def same(found, expected):
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_cleaned_categories_are_dictionaries_with_null_where_missing():
    for column in (pa.array(["x", None, "", "x"]), pa.array(["x", None, "", "x"]).dictionary_encode(),
                   pa.array(["x", None, "", "x"], pa.large_string())):
        cleaned = PLACE.clean(column)
        assert cleaned.type == pa.dictionary(pa.int32(), pa.string())
        assert cleaned.to_pylist() == ["x", None, "", "x"]
    assert CODE.clean(pa.array([3, None], pa.int8())).type == pa.dictionary(pa.int32(), pa.int64())


def test_cleaned_numbers_are_float32_with_null_where_missing_or_not_finite():
    cleaned = PRICE.clean(pa.array([1.5, None, math.nan, math.inf, -math.inf, 1e39, -2]))
    assert (cleaned.type, cleaned.to_pylist()) == (pa.float32(), [1.5, None, None, None, None, None, -2])
    assert PRICE.clean(pa.array([3, None], pa.int64())).to_pylist() == [3.0, None]


def test_cleaned_lists_have_the_first_values_that_are_not_missing():
    cleaned = MARKS.clean(pa.array([[1, None, -1, 2, 3, 4], None, []], pa.list_(pa.int16())))
    assert (cleaned.type, cleaned.to_pylist()) == (pa.list_(pa.int64()), [[1, 2, 3], [], []])
    assert TAGS.clean(pa.array([["", "a", "b", "c"]])).to_pylist() == [["a", "b"]]


@pytest.mark.parametrize(("feature", "column"), [
    (PLACE, ["x", None, ""]), (CODE, [1, None]), (PRICE, [1.0, None, math.inf]), (TAGS, [["a", "", "b", "c"], None])])
def test_cleaning_twice_changes_nothing(feature, column):
    once = feature.clean(pa.array(column))
    twice = feature.clean(once)
    assert (twice.type, twice.to_pylist()) == (once.type, once.to_pylist())


@pytest.mark.parametrize(("feature", "values"), [
    (PLACE, ["x", None, "", "y", "x"]), (CODE, [0, None, -1, 8, 0]), (PRICE, [0.0, None, -1.0, 1.0, 0.0]),
    (TAGS, [["a"], [], ["b"], ["a", "b"], ["a"]]), (MARKS, [[1], [], [2], [2, 1], [1]])])
def test_equal_values_and_no_others_have_equal_hashes(feature, values):
    hashes = feature.hash_values(feature.clean(pa.array(values)))
    assert hashes.dtype == np.uint64
    assert len(set(hashes[:4].tolist())) == 4
    assert hashes[4] == hashes[0]
    shuffled = [3, 1, 0, 4, 2]
    same(feature.hash_values(feature.clean(pa.array([values[place] for place in shuffled]))), hashes[shuffled])


def test_a_vocabulary_counts_each_value_and_the_missing_one_of_single_values():
    assert PLACE.counted_values(PLACE.clean(pa.array(["x", None, "x", ""]))).to_pylist() == ["x", "", "x", ""]
    assert CODE.counted_values(CODE.clean(pa.array([4, None]))).to_pylist() == [4, -1]
    assert TAGS.counted_values(TAGS.clean(pa.array([["a", "b"], None, ["a"]]))).to_pylist() == ["a", "b", "a"]
    long = pa.DictionaryArray.from_arrays(pa.array([3, None]), pa.array(["a", "b", "c", "d", "e"]))
    assert PLACE.counted_values(long).to_pylist() == ["d", ""]


def test_vocabularies_are_built_by_declared_rules():
    assert PLACE.vocabulary == VocabularyRules("string", oov_rows=3, min_count=2)
    assert MARKS.vocabulary == VocabularyRules("int64", oov_rows=2, min_count=4)
    assert PRICE.vocabulary is None
    with pytest.raises(NotImplementedError, match="'numeric' has no vocabulary"):
        PRICE.counted_values(pa.array([1.0]))


def test_moments_are_of_numbers_as_the_model_takes_them():
    assert [feature.name for feature in FEATURES if feature.has_moments] == ["price", "tail"]
    values = pa.array([np.e - 1, None, 1 - np.e, 0.0], pa.float32())
    np.testing.assert_allclose(PRICE.moment_values(values), [np.e - 1, np.nan, 1 - np.e, 0], rtol=1e-6)
    np.testing.assert_allclose(TAIL.moment_values(values), [1, np.nan, -1, 0], rtol=1e-6)
    with pytest.raises(NotImplementedError, match="'categorical' has no moments"):
        PLACE.moment_values(values)


def test_records_have_rows_of_values_and_numbers_themselves():
    same(PLACE.record_values(PLACE.clean(pa.array(["日本", "x", None])), rows), [3, 0, -9])
    same(PRICE.record_values(pa.array([2.0, None], pa.float32()), rows), [2, np.nan])
    lists = TAGS.record_values(pa.array([["b", "x"], [], ["c"]]), rows)
    assert lists.to_pylist() == [[2, 0], [], [3]]


def test_golden_values_are_what_a_client_sends():
    assert PLACE.golden_values(PLACE.clean(pa.array(["x", None]))).to_pylist() == ["x", ""]
    assert CODE.golden_values(CODE.clean(pa.array([None, 3]))).to_pylist() == [-1, 3]
    same(PRICE.golden_values(pa.array([2.0, None], pa.float32())), [2, np.nan])
    assert TAGS.golden_values(pa.array([["b"], []])).to_pylist() == [["b"], []]


def test_columns_of_records_by_kind():
    assert {kind.name: kind.record_column for kind in (*FEATURES, HISTORY, USER)} == {
        "place": RecordColumn("int64", vocabulary="place"), "code": RecordColumn("int64", vocabulary="code"),
        "price": RecordColumn("float32"), "tail": RecordColumn("float32"), "tags": RecordColumn("int64", 2, "tags"),
        "marks": RecordColumn("int64", 3, "marks"), "history": RecordColumn("int64", 2, "item"),
        "user": RecordColumn("int64", vocabulary="user")}
    assert [kind.name for kind in (*FEATURES, HISTORY, USER) if kind.record_column.is_category] == [
        "place", "code", "user"]


def test_inputs_of_the_ranker_by_kind():
    moments = {"price": {"mean": 1.0, "std": 2.0}, "tail": {"mean": 3.0, "std": 4.0}}
    assert {kind.name: kind.ranker_input(Settings, moments) for kind in (*FEATURES, HISTORY, ITEM)} == {
        "place": RowInput("place", "place", "place", "place"), "code": RowInput("code", "code", "code", "code"),
        "price": NumericStatistics(1.0, 2.0), "tail": NumericStatistics(3.0, 4.0, log1p=True),
        "tags": RowInput("tags", "tags", "tags", "tags", 2, "mean"),
        "marks": RowInput("marks", "marks", "marks", "marks", 3, "mean"),
        "history": RowInput("history", "history", "item", "item", 2, "attention"),
        "item": RowInput("item", "item", "item", "item")}


def test_a_history_can_be_left_out(monkeypatch):
    monkeypatch.setattr(Settings, "history", "none")
    assert HISTORY.ranker_input(Settings, {}) is None


def test_inputs_of_the_served_model_by_kind():
    assert {kind.raw_name: kind.raw_input for kind in (*FEATURES, HISTORY, USER, ITEM)} == {
        "place": RawInput("string", side="context"), "code": RawInput("int64", side="item"),
        "price": RawInput("float32", side="item"), "tail": RawInput("float32", side="user"),
        "tags": RawInput("string", 2, "item"), "marks": RawInput("int64", 3, "context"),
        "history": RawInput("int64", 2, "user", latest=True),
        "user_id": RawInput("int64", side="user", required=True),
        "item_id": RawInput("string", side="item", required=True)}


SERVED = [
    (PLACE, ["home", "", "x", "日本"], [1, 2, 0, 3]), (CODE, [7, -1, 8], [1, 2, 0]),
    (PRICE, [1.5, np.nan, np.inf, -np.inf], [1.5, np.nan, np.nan, np.nan]),
    (TAGS, [["a", "", "x", "b"], ["", "", "", "c"], ["", "", "", ""]], [[1, 0], [3, -1], [-1, -1]]),
    (MARKS, [[-1, 3, -1, 2, 1, 9], [9, 9, 9, 9, 1, 2], [-1] * 6], [[3, 2, 1], [0, 0, 0], [-1, -1, -1]]),
    (HISTORY, [[10, 20, 30], [-1, 10, -1], [-1, 99, 10]], [[2, 3], [1, -1], [0, 1]]), (USER, [6, 99], [2, 0])]


@pytest.mark.parametrize(("kind", "raw", "expected"), SERVED)
def test_raw_values_reach_the_model_as_rows_outside_the_graph(kind, raw, expected):
    dtype = object if kind.raw_input.dtype == "string" else kind.raw_input.dtype
    found = kind.batch_column(np.array(raw, dtype), rows)
    same(found, expected)
    assert found.dtype == kind.record_column.dtype


@pytest.mark.parametrize(("kind", "raw", "expected"), SERVED)
def test_raw_values_reach_the_model_as_rows_inside_the_graph(kind, raw, expected):
    found = kind.graph_column(tf.constant(raw, tf.as_dtype(kind.raw_input.dtype)), graph_rows)
    expected = np.array(expected)
    if kind.record_column.length:  # the network ignores where padding is
        found = [sorted(each, key=lambda row: row == -1) for each in found.numpy()]
    same(found, expected)


def test_short_lists_keep_their_padding_where_it_was():
    found = TAGS.graph_column(tf.constant([["", "b"], ["c", ""]]), graph_rows)
    assert found.numpy().tolist() == [[-1, 2], [3, -1]]
    assert TAGS.graph_column(tf.zeros([2, 0], tf.string), graph_rows).shape == (2, 0)


def test_each_row_has_a_raw_value_that_leads_to_it():
    vocabulary = Vocabulary(pa.array(["home", ""]), np.array([2, 1]), oov_rows=3)
    raw = PLACE.raw_values_of_rows({"place": vocabulary}.__getitem__)
    assert vocabulary.lookup(raw).tolist() == [0, 1, 2, 3, 4]
    numbers = Vocabulary(pa.array([10, 20]), np.array([2, 1]), oov_rows=2)
    for kind, name in ((HISTORY, "item"), (MARKS, "marks")):
        assert numbers.lookup(kind.raw_values_of_rows({name: numbers}.__getitem__)).tolist() == [0, 1, 2, 3]
    for kind in (PRICE, USER):
        assert kind.raw_values_of_rows({}.__getitem__) is None


@pytest.mark.parametrize(("feature", "accepted", "refused", "words"), [
    (PLACE, [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.int64()],
     [pa.float64(), pa.bool_()], "string"),
    (CODE, [pa.int8(), pa.uint32(), pa.int64(), pa.uint64(), pa.float32(), pa.bool_()], [pa.string()], "integer"),
    (PRICE, [pa.float16(), pa.float64(), pa.uint64(), pa.decimal128(9, 2), pa.bool_()], [pa.string()], "number"),
    (TAGS, [pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_(pa.int64())],
     [pa.string(), pa.list_(pa.float64())], "list of string"),
    (MARKS, [pa.string()], [pa.list_(pa.int64()), pa.float64()], "string of values separated by '|'")])
def test_tables_may_store_a_feature_as(feature, accepted, refused, words):
    assert feature.stored_type.description == words
    assert [kind for kind in (*accepted, *refused) if feature.stored_type.accepts(kind)] == accepted


def test_texts_are_parsed_as_declared():
    assert [feature.value_type for feature in FEATURES] == [
        "string", "int64", "float32", "float32", "string[]", "int64[|]"]
    assert (CODE.source_column, PLACE.source_column) == ("raw_code", "place")
