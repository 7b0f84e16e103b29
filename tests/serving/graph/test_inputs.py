"""Validation of raw inputs and parsing of tf.Examples in the graph, on literal inputs."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.features.raw_input import CONTEXT, USER, RawInput
from tfrs_pretrain.serving.client.tf_examples import to_example
from tfrs_pretrain.serving.graph.example_parsing import parse_examples
from tfrs_pretrain.serving.graph.inputs import validated, validated_candidates

INPUTS = {"user_id": RawInput("int64", side=USER, required=True), "item_id": RawInput("string", required=True),
          "surface": RawInput("string", side=CONTEXT), "price": RawInput("float32"), "tags": RawInput("string", 2),
          "seen": RawInput("int64", 3, latest=True)}


def raw(users=2, items=2, contexts=2, **others):
    values = {"user_id": np.arange(users), "item_id": np.array(["i"] * items, object),
              "surface": np.array(["s"] * contexts, object), "price": np.zeros(items, np.float32),
              "tags": np.array([["t"]] * items, object), "seen": np.zeros((items, 0), np.int64)} | others
    return {name: tf.constant(array) for name, array in values.items()}


def run(function, inputs):
    """In a graph, as a server runs it."""
    traced = tf.function(lambda **raw: function(raw, INPUTS), autograph=False)
    return {name: values.numpy() for name, values in traced(**inputs).items()}


def test_valid_batches_pass_unchanged():
    for size in (0, 1, 3):
        inputs = raw(size, size, size) if size else raw(0, 0, 0, tags=np.zeros((0, 1), object).astype(str),
                                                        item_id=np.zeros(0, str), surface=np.zeros(0, str))
        for name, values in run(validated, inputs).items():
            np.testing.assert_array_equal(values, inputs[name].numpy())


@pytest.mark.parametrize(("inputs", "named"), [
    (raw(users=1), "user_id"), (raw(contexts=1), "surface"), (raw(price=np.zeros(3, np.float32)), "price"),
    (raw(tags=np.array([["t"]], object)), "tags")])
def test_an_input_of_another_length_is_named(inputs, named):
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"{named}.*have.*rows, item_id has"):
        run(validated, inputs)


@pytest.mark.parametrize(("users", "items", "contexts"), [(1, 3, 3), (1, 3, 1), (1, 1, 1)])
def test_one_user_with_candidates(users, items, contexts):
    found = run(validated_candidates, raw(users, items, contexts))
    assert [len(found[name]) for name in ("user_id", "item_id", "surface")] == [users, items, contexts]


@pytest.mark.parametrize("inputs", [raw(2, 2, 1), raw(1, 3, 2), raw(1, 3, 1, price=np.zeros(1, np.float32))])
def test_candidates_with_other_batch_sizes(inputs):
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        run(validated_candidates, inputs)


def parse(*examples):
    serialized = tf.constant([to_example(features).SerializeToString() for features in examples])
    return {name: values.numpy().tolist() for name, values in parse_examples(serialized, INPUTS).items()}


def test_missing_features_get_the_missing_value():
    found = parse({"user_id": 5, "item_id": "i"})
    assert (found["user_id"], found["item_id"], found["surface"]) == ([5], [b"i"], [b""])
    assert np.isnan(found["price"]).all()
    assert (found["tags"], found["seen"]) == ([[]], [[]])


def test_lists_are_truncated_without_their_padding():
    found = parse({"user_id": 5, "item_id": "i", "tags": ["", "a", "", "b", "c"], "seen": [1, -1, 2, 3, 4, -1]},
                  {"user_id": 6, "item_id": "j", "tags": ["z"], "seen": [9]})
    assert found["tags"] == [[b"a", b"b"], [b"z", b""]]  # the first two
    assert found["seen"] == [[2, 3, 4], [9, -1, -1]]  # the latest three


@pytest.mark.parametrize("features", [
    {"user_id": 5}, {"item_id": "i"}, {"user_id": "5", "item_id": "i"}, {"user_id": [5, 6], "item_id": "i"},
    {"user_id": 5, "item_id": "i", "price": 1}])
def test_examples_of_another_form_are_refused(features):
    with pytest.raises(tf.errors.InvalidArgumentError):
        parse(features)
