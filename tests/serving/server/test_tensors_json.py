"""JSON of the REST interface as tensors, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from tfrs_pretrain.serving.server.errors import StatusError
from tfrs_pretrain.serving.server.tensors_json import from_base64, read_inputs, write_outputs

NUMBERS = {"float32": 1, "double": 2, "int32": 3, "string": 7, "int64": 9, "bool": 10}


def signature(**dtypes):
    message = SignatureDef()
    for name, dtype in dtypes.items():
        message.inputs[name].dtype = NUMBERS[dtype]
    return message


def read(value, dtype):
    return read_inputs({"inputs": {"x": value}}, signature(x=dtype))["x"]


@pytest.mark.parametrize(("dtype", "value", "expected"), [
    ("int64", [2**63 - 1, -(2**63)], [2**63 - 1, -(2**63)]), ("int64", [2**53 + 1], [2**53 + 1]),
    ("int32", [2**31 - 1, -(2**31)], [2**31 - 1, -(2**31)]), ("float32", [0.1, 3], [np.float32(0.1), 3.0]),
    ("float32", [16777215], [16777215.0]), ("double", [2**53 - 1, 0.1], [2**53 - 1, 0.1]),
    ("float32", [float("inf"), float("-inf")], [np.inf, -np.inf]), ("float32", [3.4028234e38], [3.4028234663852886e38]),
    ("bool", [True, False], [True, False]), ("string", ["ä", ""], ["ä".encode(), b""]),
    ("string", [{"b64": "/w=="}], [b"\xff"]), ("string", ["\ud800"], [b"\xed\xa0\x80"]), ("int64", 5, 5),
    ("int64", [[1, 2], [3, 4]], [[1, 2], [3, 4]]), ("string", [], [])])
def test_values_that_the_dtype_represents(dtype, value, expected):
    found = read(value, dtype)
    assert found.tolist() == expected
    assert found.dtype == {"string": object}.get(dtype, {"double": "float64"}.get(dtype, dtype))


def test_nan_is_a_number():
    assert np.isnan(read([float("nan")], "float32")).all()


@pytest.mark.parametrize(("dtype", "value"), [
    ("int64", 2**63), ("int64", -(2**63) - 1), ("int64", 1.0), ("int64", True), ("int64", "1"), ("int64", None),
    ("int32", 2**31), ("int32", -(2**31) - 1), ("float32", 16777216), ("float32", -16777216), ("float32", 3.5e38),
    ("float32", True), ("float32", "1"), ("double", 2**53), ("bool", 1), ("bool", "true"), ("string", 5),
    ("string", {"b64": 5}), ("string", {"b64": "a", "x": 1}), ("string", None), ("int64", {"b64": "AA=="})])
def test_values_that_the_dtype_does_not_represent(dtype, value):
    with pytest.raises(StatusError, match=f"input 'x': JSON value .* is not of expected type: {dtype}") as caught:
        read([value], dtype)
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("value", [[[1], [2, 3]], [[1], 2], [1, [2]], [[[1]], [[1], [2]]], [[], [1]]])
def test_ragged_lists_are_refused(value):
    with pytest.raises(StatusError, match=r"is ragged: expected a list of \d+ values|is not of expected type"):
        read(value, "int64")


def test_nesting_is_limited_to_eight_dimensions():
    def nested(depth):
        return 5 if not depth else [nested(depth - 1)]

    assert read(nested(8), "int64").shape == (1,) * 8
    with pytest.raises(StatusError, match="has more than 8 dimensions"):
        read(nested(9), "int64")


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2), min_size=1, max_size=4))
def test_integers_survive_the_way_there_and_back(rows):
    assert write_outputs({"y": read(rows, "int64")}, row_format=False) == {"outputs": rows}


TWO = {"a": "int64", "b": "string"}


def test_rows_and_columns_are_the_same_inputs():
    by_rows = read_inputs({"instances": [{"a": 1, "b": "x"}, {"b": "y", "a": 2}]}, signature(**TWO))
    by_columns = read_inputs({"inputs": {"a": [1, 2], "b": ["x", "y"]}}, signature(**TWO))
    for found in (by_rows, by_columns):
        assert found["a"].tolist() == [1, 2]
        assert found["b"].tolist() == [b"x", b"y"]


@pytest.mark.parametrize("body", [{"instances": [1, 2]}, {"inputs": [1, 2]}])
def test_values_without_a_name_belong_to_the_only_input(body):
    assert read_inputs(body, signature(a="int64"))["a"].tolist() == [1, 2]
    with pytest.raises(StatusError, match="the signature has 2 inputs: name them"):
        read_inputs(body, signature(**TWO))


def test_base64_objects_are_values_not_names():
    for body in ({"instances": [{"b64": "/w=="}]}, {"inputs": [{"b64": "/w=="}]}):
        assert read_inputs(body, signature(b="string"))["b"].tolist() == [b"\xff"]


@pytest.mark.parametrize(("body", "message"), [
    ({}, "exactly one of"), ({"instances": [{"a": 1}], "inputs": {"a": [1]}}, "exactly one of"),
    ({"instances": []}, "at least one item"), ({"instances": 5}, "at least one item"),
    ({"instances": [{"a": 1, "b": "x"}, {"a": 1}]}, r"item 1 of 'instances' has inputs \['a'\], the first has"),
    ({"instances": [{"a": 1, "c": 1}]}, "does not have named input: 'c'")])
def test_bodies_of_another_form(body, message):
    with pytest.raises(StatusError, match=message):
        read_inputs(body, signature(**TWO))


def test_unknown_columns_are_ignored():
    assert list(read_inputs({"inputs": {"a": [1], "c": [1]}}, signature(a="int64"))) == ["a"]


SCORE = {"score": np.array([0.5, 0.25], np.float32)}
BOTH = SCORE | {"label": np.array([b"x", b"\xff"], object)}


@pytest.mark.parametrize(("outputs", "row_format", "expected"), [
    (SCORE, True, {"predictions": [0.5, 0.25]}), (SCORE, False, {"outputs": [0.5, 0.25]}),
    (BOTH, True, {"predictions": [{"score": 0.5, "label": "x"}, {"score": 0.25, "label": {"b64": "/w=="}}]}),
    (BOTH, False, {"outputs": {"score": [0.5, 0.25], "label": ["x", {"b64": "/w=="}]}})])
def test_outputs_follow_the_format_of_the_request(outputs, row_format, expected):
    assert write_outputs(outputs, row_format=row_format) == expected


@pytest.mark.parametrize("other", [np.zeros(3), np.array(1.0)])
def test_outputs_of_other_lengths_have_no_rows(other):
    with pytest.raises(StatusError, match="outputs differ in batch size"):
        write_outputs(SCORE | {"other": other}, row_format=True)
    assert len(write_outputs(SCORE | {"other": other}, row_format=False)["outputs"]) == 2


@pytest.mark.parametrize("text", ["%%%", "/w=", "/w", 5, None, "ä"])
def test_broken_base64(text):
    with pytest.raises(StatusError, match="unable to base64 decode"):
        from_base64(text)


def test_scalars_have_no_rows():
    with pytest.raises(StatusError, match="outputs differ in batch size"):
        write_outputs({"a": np.array(1.0), "b": np.array(2.0)}, row_format=True)
