"""Comparison of outputs and signatures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrs_pretrain.serving.client import Signature, TensorSpec
from tfrs_pretrain.serving.verification.differences import max_difference, only_in_each, signature_lines


def floats(*values):
    return np.array(values, np.float32)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=6))
def test_the_largest_difference_is_that_of_python(pairs):
    expected, received = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    assert max_difference({"y": expected}, {"y": received}) == max(abs(a - b) for a, b in pairs)


def test_the_largest_output_counts():
    assert max_difference({"a": floats(1), "b": floats(1, 5)}, {"a": floats(1.5), "b": floats(1, 3)}) == 2
    assert max_difference({"a": floats(5), "b": floats(1)}, {"a": floats(1), "b": floats(2)}) == 4
    assert max_difference({"a": floats()}, {"a": floats()}) == 0


@pytest.mark.parametrize(("expected", "received"), [
    (floats(1), floats(np.nan)), (floats(np.nan), floats(1)), (floats(np.nan), floats(np.nan)),
    (floats(1), floats(np.inf))])
def test_nan_and_infinity_differ_from_everything(expected, received):
    assert max_difference({"y": expected}, {"y": received}) == np.inf


@pytest.mark.parametrize(("received", "message"), [
    ({"z": floats(1)}, r"outputs ['z'] instead of ['y']"), ({}, "outputs [] instead of ['y']"),
    ({"y": floats(1), "z": floats(1)}, "outputs ['y', 'z'] instead of ['y']"),
    ({"y": floats(1, 2)}, "output 'y' of shape [2] instead of [1]"),
    ({"y": np.zeros((1, 1), np.float32)}, "output 'y' of shape [1, 1] instead of [1]")])
def test_other_names_and_shapes_are_described(received, message):
    assert max_difference({"y": floats(1)}, received) == message


def test_strings_are_compared_as_text():
    expected = {"classes": np.array([["ä", b"b"]], object)}
    assert max_difference(expected, {"classes": np.array([["ä".encode(), "b"]], object)}) == 0
    assert max_difference(expected, {"classes": np.array([["a", "b"]], object)}) == "output 'classes' has other values"


LEFT = Signature("predict", {"x": TensorSpec("int64", (None,))}, {"y": TensorSpec("float32", (None,))})
RIGHT = Signature("predict", {"x": TensorSpec("int64", (1,))}, {"y": TensorSpec("float32", (None,)),
                                                                "z": TensorSpec("float32", ())})


def test_signatures_as_lines():
    assert signature_lines(LEFT) == ["method predict", "input x: int64[?]", "output y: float32[?]"]


def test_only_the_differing_lines_are_shown():
    lines = [signature_lines(signature) for signature in (LEFT, RIGHT)]
    assert only_in_each(*lines) == ("input x: int64[?]", "input x: int64[1], output z: float32[]")
    assert only_in_each(lines[0], lines[0]) == ("2 tensors", "2 tensors")
    assert only_in_each(["a", "b"], ["a", "b", "c"]) == ("nothing more", "c")
