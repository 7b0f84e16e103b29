"""Raw values as ``tf.train.Example``s."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.tf_examples import to_example


def test_each_type_of_value_has_its_list():
    example = to_example({"a": 5, "b": [1.5, float("nan")], "c": "Perú", "d": [b"\xff", "x"], "e": None, "f": [],
                          "g": np.array([1, 2]), "h": np.float32(0.5), "i": np.array(["q"])})
    features = example.features.feature
    assert set(features) == {"a", "b", "c", "d", "g", "h", "i"}
    assert list(features["a"].int64_list.value) == [5]
    assert features["b"].float_list.value[0] == 1.5
    assert list(features["c"].bytes_list.value) == ["Perú".encode()]
    assert list(features["d"].bytes_list.value) == [b"\xff", b"x"]
    assert list(features["g"].int64_list.value) == [1, 2]
    assert list(features["h"].float_list.value) == [0.5]
    assert list(features["i"].bytes_list.value) == [b"q"]


@pytest.mark.parametrize("value", [True, {"x": 1}, [1, "a"], [1, 1.5], [[1]]])
def test_values_of_other_types_are_refused(value):
    with pytest.raises(UserError, match=r"feature 'a' is .* expected an integer"):
        to_example({"a": value})


def test_tensorflow_parses_the_message():
    serialized = to_example({"id": np.int64(7), "price": [0.5, 2.0], "tags": ("a", "b")}).SerializeToString()
    parsed = tf.io.parse_single_example(serialized, {
        "id": tf.io.FixedLenFeature([], tf.int64), "price": tf.io.FixedLenFeature([2], tf.float32),
        "tags": tf.io.FixedLenFeature([2], tf.string)})
    assert parsed["id"].numpy() == 7
    assert parsed["price"].numpy().tolist() == [0.5, 2.0]
    assert parsed["tags"].numpy().tolist() == [b"a", b"b"]


def test_a_matrix_becomes_one_flat_list():
    assert list(to_example({"a": np.array([[1, 2], [3, 4]])}).features.feature["a"].int64_list.value) == [1, 2, 3, 4]
