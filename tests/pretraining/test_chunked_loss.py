"""Chunks, weights and the fallback of a chunked loss, on a loss that is known in closed form."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.pretraining import chunked_loss as module
from tfrs_pretrain.pretraining.chunked_loss import ChunkLoss, chunked_loss

QUERIES, NEGATIVES, DIM = 7, 5, 3


@pytest.fixture
def data():
    generator = np.random.default_rng(1)
    return [generator.normal(size=shape).astype(np.float32) for shape in ((QUERIES, DIM), (NEGATIVES, DIM), QUERIES)]


def squares(factor):
    """The loss factor * (sum(logits ** 2) + positive * query number) of each query."""
    def loss(logits, chunk, positive):
        number = tf.cast(tf.range(chunk.start, chunk.stop), tf.float32)
        losses = factor * (tf.reduce_sum(logits ** 2, axis=1) + positive * number)
        return ChunkLoss(losses, logits, 2.0 * factor * tf.ones_like(positive), factor * number)
    return loss


def naive(queries, negatives, positive, weights, factor):
    logits = queries @ negatives.T
    losses = weights * factor * ((logits ** 2).sum(axis=1) + positive * np.arange(QUERIES))
    slope = 2.0 * factor * weights[:, None] * logits
    return losses.sum(), (slope @ negatives, slope.T @ queries, weights * factor * np.arange(QUERIES))


@pytest.mark.parametrize("weights", [None, np.array([0, 1, 2, 0.5, 1, 3, 1], np.float32)])
@pytest.mark.parametrize("max_negatives", [None, NEGATIVES, 1000])
@pytest.mark.parametrize("logits", [1, 3 * NEGATIVES, 1 << 20])
def test_chunks_of_any_size_sum_to_the_loss_and_its_gradients(data, monkeypatch, logits, max_negatives, weights):
    monkeypatch.setattr(module, "CHUNK_LOGITS", logits)
    inputs = [tf.constant(values) for values in data]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = 3.0 * chunked_loss(*inputs, squares(1.0), weights, max_negatives=max_negatives)
    expected, gradients = naive(*data, np.ones(QUERIES) if weights is None else weights, 3.0)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    for found, gradient in zip(tape.gradient(loss, inputs), gradients, strict=True):
        np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("use", "factor"), [(False, 1.0), (True, 10.0)])
def test_the_fallback_replaces_the_loss_where_its_condition_is_true(data, use, factor):
    inputs = [tf.constant(values) for values in data]
    loss = chunked_loss(*inputs, squares(1.0), fallback=(tf.constant(use), squares(10.0)))
    assert float(loss) == pytest.approx(naive(*data, np.ones(QUERIES), factor)[0], rel=1e-5)


def test_a_batch_of_unknown_size_keeps_its_static_shape(data):
    """As in a traced step whose batches vary in size."""
    traced = tf.function(lambda *inputs: chunked_loss(*inputs, squares(1.0)), autograph=False, input_signature=[
        tf.TensorSpec([None, DIM]), tf.TensorSpec([None, DIM]), tf.TensorSpec([None])])
    for size in (1, 4, QUERIES):
        parts = data[0][:size], data[1], data[2][:size]
        whole = naive(np.pad(parts[0], [(0, QUERIES - size), (0, 0)]), parts[1], np.pad(parts[2], (0, QUERIES - size)),
                      np.ones(QUERIES), 1.0)[0]
        assert float(traced(*parts)) == pytest.approx(whole, rel=1e-5)
