"""A column of records and an input of a served model, each in the three forms that they have."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.features.record_column import RecordColumn

VALUE, LIST = RecordColumn("float32"), RecordColumn("int64", 3, "tags")


def test_arrow_types_of_record_columns():
    assert (VALUE.arrow_type, LIST.arrow_type) == (pa.float32(), pa.list_(pa.int64()))
    assert RecordColumn("string").arrow_type == pa.string()


def test_records_are_parsed_as_written():
    example = tf.train.Example()
    example.features.feature["price"].float_list.value.append(2.5)
    example.features.feature["tags"].int64_list.value.extend([4, 5])
    parsed = tf.io.parse_example([example.SerializeToString()], {
        "price": VALUE.parsing_spec(), "tags": LIST.parsing_spec()})
    assert VALUE.dense_tensor(parsed["price"]).numpy().tolist() == [2.5]
    assert LIST.dense_tensor(parsed["tags"]).numpy().tolist() == [[4, 5, -1]]


def test_a_missing_value_is_an_error_and_a_missing_list_is_empty():
    empty = [tf.train.Example().SerializeToString()]
    assert LIST.dense_tensor(tf.io.parse_example(empty, {"tags": LIST.parsing_spec()})["tags"]).numpy().tolist() == [
        [-1, -1, -1]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="price"):
        tf.io.parse_example(empty, {"price": VALUE.parsing_spec()})


def test_arrays_are_padded_as_tensors_are():
    lists = [[1, 2, 3], [], [7]]
    padded = LIST.dense_array(pa.array(lists, pa.list_(pa.int64())))
    np.testing.assert_array_equal(padded, LIST.dense_tensor(tf.ragged.constant(lists, tf.int64)))
    assert (padded.dtype, padded[2].tolist()) == (np.int64, [7, -1, -1])
    assert VALUE.dense_array(np.array([1, 2], np.int32)).dtype == np.float32


@pytest.mark.parametrize(("single", "text", "expected"), [
    (RawInput("int64"), "12", [12]), (RawInput("float32"), "1.5", [1.5]), (RawInput("string"), "a b", ["a b"]),
    (RawInput("string"), "", [""]), (RawInput("string", 3), '["x", "y"]', [["x", "y"]]),
    (RawInput("int64", 1), "[3, 4]", [[3, 4]])])
def test_texts_become_raw_values(single, text, expected):
    found = single.parse(text)
    assert found.tolist() == expected
    assert found.dtype == (object if single.dtype == "string" else single.dtype)


@pytest.mark.parametrize(("single", "text"), [
    (RawInput("int64"), "1.5"), (RawInput("float32"), "high"), (RawInput("string", 3), "x"),
    (RawInput("string", 3), "[1]"), (RawInput("int64", 3), '["1"]'), (RawInput("int64", 3), "{}")])
def test_texts_of_another_type_are_refused(single, text):
    with pytest.raises((TypeError, ValueError)):
        single.parse(text)


def test_types_are_named_for_messages():
    assert RawInput("int64").words == "one value of int64"
    assert RawInput("string", 2).words == "a JSON array of string"


def test_missing_values_are_recognised():
    assert [RawInput("int64").is_missing(value) for value in (-1, 0, -2)] == [True, False, False]
    assert [RawInput("string", 3).is_missing(value) for value in ("", " ")] == [True, False]
    assert [RawInput("float32").is_missing(value) for value in (float("nan"), 0.0, float("inf"))] == [
        True, False, False]


def test_a_missing_value_is_one_of_its_type():
    for single in (RawInput("int64"), RawInput("string"), RawInput("float32")):
        [value] = single.missing()
        assert single.is_missing(value)
    assert RawInput("string", 4).missing().shape == (1, 0)


def test_arrow_arrays_keep_values_and_lists():
    assert RawInput("string").to_arrow(np.array(["a", ""], object)).equals(pa.array(["a", ""]))
    lists = RawInput("int64", 2).to_arrow(np.array([[1, -1], [2, 3]]))
    assert (lists.type, lists.to_pylist()) == (pa.list_(pa.int64()), [[1, -1], [2, 3]])
    assert RawInput("float32").to_arrow(np.array([np.nan], np.float32)).null_count == 0


def test_specs_have_the_shape_of_a_request():
    assert RawInput("float32").spec("x") == tf.TensorSpec([None], tf.float32, "x")
    assert RawInput("string", 3).spec("y", 1) == tf.TensorSpec([1, None], tf.string, "y")
