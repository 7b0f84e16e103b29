"""The in-batch softmax against a naive float64 twin and against stock TFRS: loss and gradients, every option."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from numeric import numeric_gradient

from tfrs_pretrain.pretraining import chunked_loss
from tfrs_pretrain.pretraining.batch_candidates import in_batch_candidates
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.recommenders import keras_2, tfrs

BATCH, DIM, ITEMS, TEMPERATURE = 24, 5, 9, 0.2


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(5)
    candidates = generator.choice(ITEMS, BATCH, p=np.arange(1, ITEMS + 1) / 45)  # certain to repeat: 24 of 9
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
                positive = logit
        total += np.log(np.sum(np.exp(logits))) - positive
    return total


def ours(queries, table, candidates, probability, normalize, log_q, remove_hits):
    task = InBatchSoftmax(temperature=TEMPERATURE, normalize=normalize, remove_accidental_hits=remove_hits)
    queries, table = tf.constant(queries, tf.float32), tf.constant(table, tf.float32)
    distinct = in_batch_candidates(tf.constant(candidates, tf.int32))
    with tf.GradientTape() as tape:
        tape.watch([queries, table])
        log_probability = tf.gather(tf.constant(np.log(probability), tf.float32), distinct.ids) if log_q else None
        loss = task(ContrastiveBatch(queries, tf.gather(table, distinct.ids), distinct, log_probability))
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
    monkeypatch.setattr(chunked_loss, "CHUNK_LOGITS", 5 * 7)  # 9 negatives: chunks of 3 queries; 7 negatives: of 5
    for left, right in zip(whole, ours(*data, True, True, True), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_distinct_candidates_count_repeats():
    distinct = in_batch_candidates(tf.constant([7, 3, 7, 7, 5]))
    assert distinct.ids.numpy().tolist() == [7, 3, 5]
    assert distinct.counts.numpy().tolist() == [3, 1, 1]
    assert distinct.positive.numpy().tolist() == [0, 1, 0, 0, 2]
    assert distinct.max_negatives == 5


def test_is_a_tfrs_task():
    assert issubclass(InBatchSoftmax, tfrs.tasks.Task)
