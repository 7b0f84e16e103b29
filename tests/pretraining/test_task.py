"""The contrastive task against a naive float64 twin and against stock TFRS: loss and gradients, every option."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from numeric import numeric_gradient

from tfrs_pretrain.pretraining import chunked, softmax
from tfrs_pretrain.pretraining.recommenders import keras_2, tfrs
from tfrs_pretrain.pretraining.task import InBatchSoftmax, unique_columns

BATCH, DIM, ITEMS, TEMPERATURE = 24, 5, 9, 0.2


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(5)
    candidates = generator.choice(ITEMS, BATCH, p=np.arange(1, ITEMS + 1) / 45)  # repeats for certain: 24 from 9
    probability = generator.dirichlet(np.ones(ITEMS))
    return (generator.normal(size=(BATCH, DIM)), generator.normal(size=(ITEMS, DIM)), candidates, probability)


def naive_loss(queries, table, candidates, probability, normalize, log_q, remove_hits):
    """Sum over the batch x batch softmax, pair by pair, in float64."""
    if normalize:
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        table = table / np.linalg.norm(table, axis=1, keepdims=True)
    total = 0.0
    for i, query in enumerate(queries):
        logits = []
        for j, other in enumerate(candidates):
            if remove_hits and j != i and other == candidates[i]:
                continue
            logit = query @ table[other] / TEMPERATURE - (np.log(probability[other]) if log_q else 0.0)
            logits.append(logit)
            if j == i:
                own = logit
        total += np.log(np.sum(np.exp(logits))) - own
    return total


def ours(queries, table, candidates, probability, normalize, log_q, remove_hits):
    task = InBatchSoftmax(temperature=TEMPERATURE, normalize=normalize, remove_accidental_hits=remove_hits)
    queries, table = tf.constant(queries, tf.float32), tf.constant(table, tf.float32)
    columns = unique_columns(tf.constant(candidates, tf.int32))
    with tf.GradientTape() as tape:
        tape.watch([queries, table])
        log_probability = tf.gather(tf.constant(np.log(probability), tf.float32), columns.ids) if log_q else None
        loss = task(queries, tf.gather(table, columns.ids), columns, log_probability)
    query_gradient, table_gradient = tape.gradient(loss, [queries, table])
    return loss.numpy(), query_gradient.numpy(), tf.convert_to_tensor(table_gradient).numpy()


@pytest.mark.parametrize(("normalize", "log_q", "remove_hits"), itertools.product([True, False], repeat=3))
def test_matches_naive_twin(data, normalize, log_q, remove_hits):
    queries, table, candidates, probability = data
    options = (normalize, log_q, remove_hits)
    loss, query_gradient, table_gradient = ours(*data, *options)
    assert loss / BATCH == pytest.approx(naive_loss(*data, *options) / BATCH, abs=1e-5)
    expected = numeric_gradient(lambda q: naive_loss(q, table, candidates, probability, *options), queries)
    np.testing.assert_allclose(query_gradient / BATCH, expected / BATCH, rtol=0, atol=1e-5)
    expected = numeric_gradient(lambda t: naive_loss(queries, t, candidates, probability, *options), table)
    np.testing.assert_allclose(table_gradient / BATCH, expected / BATCH, rtol=0, atol=1e-5)


@pytest.mark.parametrize("remove_hits", [True, False])
@pytest.mark.parametrize("log_q", [True, False])
def test_matches_stock_tfrs(data, log_q, remove_hits):
    queries, table, candidates, probability = data
    with keras_2():
        stock = tfrs.tasks.Retrieval(temperature=TEMPERATURE, remove_accidental_hits=remove_hits)
    query_rows, all_rows = tf.constant(queries, tf.float32), tf.constant(table, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([query_rows, all_rows])
        expected = stock(query_rows, tf.gather(all_rows, candidates), candidate_ids=tf.constant(candidates),
                         candidate_sampling_probability=tf.constant(probability[candidates], tf.float32)
                         if log_q else None, compute_metrics=False)
    expected_gradients = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(expected, [query_rows, all_rows])]
    loss, query_gradient, table_gradient = ours(*data, False, log_q, remove_hits)
    assert loss / BATCH == pytest.approx(float(expected) / BATCH, abs=1e-5)
    np.testing.assert_allclose(query_gradient / BATCH, expected_gradients[0] / BATCH, rtol=0, atol=1e-5)
    np.testing.assert_allclose(table_gradient / BATCH, expected_gradients[1] / BATCH, rtol=0, atol=1e-5)


def test_chunks_do_not_change_the_result(data, monkeypatch):
    whole = ours(*data, True, True, True)
    monkeypatch.setattr(chunked, "CHUNK_LOGITS", 5 * 7)  # 9 columns: chunks of 3 queries; 7 columns of 5
    for left, right in zip(whole, ours(*data, True, True, True), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_extreme_logits_stay_finite():
    queries = tf.constant([[1000.0, 0.0], [-1000.0, 0.0]])
    itself = chunked.Entries(tf.constant([0, 1]), tf.constant([0, 0]))
    loss = softmax.softmax_loss(queries, tf.constant([[1.0, 0.0], [-1.0, 0.0]]), tf.zeros([2]),
                                tf.constant([1000.0, -1000.0]), itself)
    assert float(loss) == pytest.approx(2000.0)  # 0 for the first query, 2000 for the second


@pytest.mark.parametrize("far", [-1e9, 80.0, 1e9])
@pytest.mark.parametrize("spread", [1.0, 18.0])
def test_bounded_and_exact_exponentials_agree(far, spread, monkeypatch):
    """With a spread of 18 the bound lies 73 above the lowest positive, near the most that the bound is used for."""
    monkeypatch.setattr(softmax, "_FAR", far)
    generator = np.random.default_rng(3)
    queries, columns = (generator.normal(size=(rows, 3)) for rows in (30, 11))
    queries *= spread / np.linalg.norm(queries, axis=1, keepdims=True)
    columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    bias, own = generator.uniform(0, 10, 11), generator.uniform(-2.5 * spread, 10, 30)
    inputs = [tf.constant(values, tf.float32) for values in (queries, columns, own)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = softmax.softmax_loss(*inputs[:2], tf.constant(bias, tf.float32), inputs[2])
    exponentials = np.exp(queries @ columns.T + bias)
    totals = np.exp(own) + exponentials.sum(axis=1)
    shares = exponentials / totals[:, None]
    assert float(loss) == pytest.approx(np.sum(np.log(totals) - own), rel=1e-6)
    expected = shares @ columns, shares.T @ queries, np.exp(own) / totals - 1
    for got, gradient in zip(tape.gradient(loss, inputs), expected, strict=True):
        np.testing.assert_allclose(got, gradient, rtol=1e-5, atol=1e-5)


def test_columns_count_repeats():
    columns = unique_columns(tf.constant([7, 3, 7, 7, 5]))
    assert columns.ids.numpy().tolist() == [7, 3, 5]
    assert columns.counts.numpy().tolist() == [3, 1, 1]
    assert columns.positive.numpy().tolist() == [0, 1, 0, 0, 2]


def test_is_a_tfrs_task():
    assert issubclass(InBatchSoftmax, tfrs.tasks.Task)
