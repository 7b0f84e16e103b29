"""JSON bodies of ``query`` as typed values."""

import numpy as np
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.query_inputs import columns_of, empty_candidates, examples_of, typed_columns
from tfrs_pretrain.serving.client.response_types import Signature, TensorSpec

SIGNATURE = Signature("predict", {"user_id": TensorSpec("int64", (1,)), "item_id": TensorSpec("string", (None,)),
                                  "price": TensorSpec("float32", (None,)), "codes": TensorSpec("int64", (None, None))},
                      {})


@pytest.mark.parametrize(("name", "values", "dtype", "expected"), [
    ("user_id", [1, 2], np.int64, [1, 2]), ("price", [1, 2], np.float32, [1.0, 2.0]),
    ("price", [0.1], np.float32, [np.float32(0.1)]), ("codes", [[1, 2], [3, 4]], np.int64, [[1, 2], [3, 4]]),
    ("user_id", [], np.int64, []), ("price", [float("inf")], np.float32, [np.inf])])
def test_numbers_get_the_dtype_of_the_signature(name, values, dtype, expected):
    found = typed_columns({name: values}, SIGNATURE)[name]
    assert found.dtype == dtype
    assert found.tolist() == expected


def test_null_is_a_missing_float():
    assert np.isnan(typed_columns({"price": [None, 1.5]}, SIGNATURE)["price"]).tolist() == [True, False]


def test_strings_and_unknown_inputs_stay_unchanged():
    columns = {"item_id": ["a", "b"], "other": [1, "x"]}
    assert typed_columns(columns, SIGNATURE) == columns


@pytest.mark.parametrize(("name", "values"), [
    ("user_id", [1.5]), ("user_id", ["1"]), ("user_id", [True]), ("user_id", [2**63]), ("user_id", [None]),
    ("price", ["1.5"]), ("price", [1e39]), ("price", [-1e39]), ("price", [True])])
def test_lossy_conversions_are_refused(name, values):
    with pytest.raises(UserError, match=f"input '{name}' requires (int64|float32), got"):
        typed_columns({name: values}, SIGNATURE)


def test_long_values_are_shortened_in_the_message():
    with pytest.raises(UserError) as caught:
        typed_columns({"user_id": ["x" * 500]}, SIGNATURE)
    assert len(str(caught.value)) < 150


def test_no_candidates_are_empty_arrays_of_the_signatures_dtypes():
    found = empty_candidates(SIGNATURE, {"user_id"})
    assert {name: (values.dtype, values.shape) for name, values in found.items()} == {
        "item_id": (np.dtype(object), (0,)), "price": (np.dtype(np.float32), (0,)),
        "codes": (np.dtype(np.int64), (0, 0))}


def test_rows_become_columns():
    assert columns_of([{"a": 1, "b": 2}, {"b": 4, "a": 3}]) == {"a": [1, 3], "b": [2, 4]}
    assert columns_of([]) == {}
    with pytest.raises(KeyError):
        columns_of([{"a": 1}, {"b": 2}])


@pytest.mark.parametrize("body", [[{"a": 1}], {"examples": [{"a": 1}]}])
def test_examples_may_be_wrapped(body):
    assert examples_of(body) == [{"a": 1}]


@pytest.mark.parametrize("body", [5, [1], {"examples": 5}, [{"a": 1}, None], "text"])
def test_bodies_without_examples(body):
    with pytest.raises(TypeError, match="not a list of objects"):
        examples_of(body)
