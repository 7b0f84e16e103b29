"""Stage I embeddings as vectors: inner products of them are its logits up to the temperature."""

import json

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.retrieval.vectors import StageOneVectors
from tfrs_pretrain.vocabulary import Vocabulary

VOCABULARY = Vocabulary(pa.array([10, 20]), np.array([2, 1]), oov_rows=1)
USERS = np.array([[3, 4], [0, 0], [0, -2]], np.float32)
ITEMS = np.array([[1, 0], [0, 5], [-6, 8]], np.float32)


@pytest.fixture
def vectors(write_embeddings):
    return lambda **settings: StageOneVectors(write_embeddings(
        VOCABULARY, VOCABULARY, {"user": USERS, "item": ITEMS}, dim=2, **settings))


def test_vectors_have_length_one_if_stage_one_normalizes(vectors):
    found = vectors(normalize=True)
    np.testing.assert_allclose(found.users(np.array([2, 0])), [[0, -1], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(found.items(np.array([1, 2])), [[0, 1], [-0.6, 0.8]], rtol=1e-6)
    assert found.users(np.array([1])).tolist() == [[0, 0]]  # no direction, and no division by zero


def test_vectors_are_the_rows_otherwise(vectors):
    found = vectors(normalize=False)
    assert found.users(np.array([2, 0, 0])).tolist() == [[0, -2], [3, 4], [3, 4]]
    assert (found.dim, found.items(np.array([], np.int64)).shape) == (2, (0, 2))


def test_a_popularity_prior_needs_the_dataset_of_the_pretraining(shop, tiny_dataset, write_embeddings):
    embeddings = write_embeddings(shop.dataset.vocabulary("user"), shop.dataset.vocabulary("item"),
                                  dataset=shop.dataset, popularity_prior=0.5)
    with pytest.raises(UserError, match="is not the one that they were trained on") as refused:
        StageOneVectors(embeddings, tiny_dataset)
    assert json.dumps(str(tiny_dataset.folder))[1:-1] in str(refused.value)
    rows = np.array([8, 9])
    share = shop.dataset.sampling_probability[rows]
    found = StageOneVectors(embeddings, shop.dataset).items(rows)[:, -1]
    np.testing.assert_allclose(found, 0.2 * 0.5 * np.log(share), rtol=1e-6)  # the temperature is 0.2
