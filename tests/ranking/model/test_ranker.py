import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.mlp import Mlp
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.ranking.model.ranker import build_ranker

BATCH = {"user": np.array([3, 0, 3]), "item": np.array([1, 2, 2]), "place": np.array([0, 2, 1]),
         "price": np.array([5.0, np.nan, 1.0], np.float32), "label": np.zeros(3, np.float32)}


def built(planted, similarity):
    random = np.random.default_rng(0)
    rows = {name: random.standard_normal((5, dim)).astype(np.float32)
            for name, dim in (("user", 3), ("item", 3), ("place", 2))}
    config = RankingConfig(similarity=similarity, arms={})
    inputs = Inputs.of(planted.dataset, config, privileged=False)
    return rows, build_ranker(inputs, rows, RankingNetwork(Mlp((), 1), 1))


@pytest.mark.parametrize("similarity", ["none", "dot", "cosine", ("cosine", "norms", "dot")])
def test_scores_equal_a_numpy_logistic_regression(planted, similarity):
    rows, ranker = built(planted, similarity)
    user, item, place = (rows[name][BATCH[name]] for name in ("user", "item", "place"))
    price = np.array([[1.0], [0.0], [-1.0]])  # mean 3, standard deviation 2, missing is the mean
    dot = (user * item).sum(1, keepdims=True)
    norms = np.stack([np.linalg.norm(user, axis=1), np.linalg.norm(item, axis=1)], axis=1)
    kinds = {"none": np.zeros((3, 0)), "dot": dot, "cosine": dot / norms.prod(1, keepdims=True), "norms": norms}
    pair = [kinds[kind] for kind in ([similarity] if isinstance(similarity, str) else similarity)]
    joined = np.concatenate([item, price, place, *pair, user], axis=1)  # in the order of the inputs' names
    logits = (joined @ ranker.network.get_weights()[0])[:, 0]
    np.testing.assert_allclose(ranker.logits(BATCH), logits[:, None], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ranker.score(BATCH), 1 / (1 + np.exp(-logits[:, None])), rtol=1e-5)


def test_score_refuses_a_batch_without_its_columns(planted):
    _, ranker = built(planted, "dot")
    with pytest.raises(KeyError, match="place"):
        ranker.score({name: values for name, values in BATCH.items() if name != "place"})


def test_a_row_of_zeros_has_similarity_zero_instead_of_nan(planted):
    rows, ranker = built(planted, "cosine")
    rows["user"][:] = 0
    zero = build_ranker(ranker.inputs, rows, ranker.network)
    assert np.isfinite(zero.score(BATCH)).all()


@pytest.mark.parametrize("similarity", ["cosine", ("norms",)])
def test_the_gradient_at_a_row_of_zeros_is_finite(planted, similarity):
    """The slope of a square root at 0 is infinite; the floor under the norm keeps NaN out of the table."""
    matrices, ranker = built(planted, similarity)
    matrices["user"][3] = 0
    ranker = build_ranker(ranker.inputs, matrices, ranker.network)
    rows = ranker.gather(BATCH)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        logits = ranker.logits_from_rows(rows, BATCH)
    for name, gradient in tape.gradient(logits, rows).items():
        assert np.isfinite(gradient).all(), name
        assert np.abs(gradient).max() > 0


def test_the_norm_of_a_row_of_zeros_is_one_millionth(planted):
    matrices, ranker = built(planted, ("norms",))
    matrices["user"][:] = 0
    before = ranker.network.get_weights()[0]
    zero = build_ranker(ranker.inputs, matrices, ranker.network)
    joined = np.concatenate([matrices["item"][BATCH["item"]], [[1.0], [0.0], [-1.0]], matrices["place"][BATCH["place"]],
                             np.full((3, 1), 1e-6), np.linalg.norm(matrices["item"][BATCH["item"]], axis=1)[:, None],
                             np.zeros((3, 3))], axis=1)
    np.testing.assert_allclose(zero.logits(BATCH), joined @ before, rtol=1e-5, atol=1e-6)
