"""Tensors of typed requests."""

import numpy as np
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Embed, Predict, Rank


@pytest.mark.parametrize(("given", "dtype", "expected"), [
    ([1, 2], np.int64, [1, 2]), (np.array([1], np.int32), np.int64, [1]),
    ([0.5, float("inf")], np.float32, [0.5, np.inf]),
    (np.array([0.1]), np.float32, [np.float32(0.1)]), (["a", "Perú"], object, ["a", "Perú"]),
    ([b"\xff"], object, [b"\xff"]), ([[1, 2], [3, 4]], np.int64, [[1, 2], [3, 4]]),
    (np.array([], np.int64), np.int64, [])])
def test_dtypes(given, dtype, expected):
    tensor = Predict({"x": given}).tensors()["x"]
    assert tensor.dtype == dtype
    assert tensor.tolist() == expected


@pytest.mark.parametrize(("given", "words"), [
    ([[1], [2, 3]], "different lengths"), ([], "is empty and has no dtype"), ([2**63], "dtype uint64"),
    ([2**70], "dtype object"), ([None], "dtype object"), ([True], "dtype bool"), ([1 + 2j], "complex")])
def test_invalid_values_are_named(given, words):
    with pytest.raises(UserError, match=f"input 'x' .*{words}"):
        Predict({"x": given}).tensors()


def test_ranking_sends_the_user_once():
    request = Rank(user={"user_id": 7, "likes": ["a", "b"]}, candidates={"item_id": [1, 2, 3], "price": [0.5, 1, 2]},
                   context={"surface": "home", "position": [1, 2, 3]}).predict()
    tensors = request.tensors()
    assert request.signature == "rank"
    assert {name: values.tolist() for name, values in tensors.items()} == {
        "user_id": [7], "likes": [["a", "b"]], "item_id": [1, 2, 3], "price": [0.5, 1, 2], "surface": ["home"],
        "position": [1, 2, 3]}
    assert tensors["price"].dtype == np.float32


def test_embeddings_are_requested_by_id():
    assert Embed("item", ["x"]).predict() == Predict({"item_id": ["x"]}, "item_embedding")
