import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.ranking.model.pooling import TargetAttention, mean_pooling, ragged_mean_pooling

BATCH, LENGTH, DIM = 4, 5, 3
MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 1, 0]], bool)


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((BATCH, LENGTH, DIM)).astype(np.float32) * MASK[..., None]


@pytest.fixture
def query():
    return np.random.default_rng(1).standard_normal((BATCH, DIM)).astype(np.float32)


def attention(hidden=(6, 4)):
    layer = TargetAttention(hidden, 3)
    layer.build((None, LENGTH, DIM))
    random = np.random.default_rng(2)
    layer.set_weights([random.standard_normal(weight.shape) * 0.5 for weight in layer.get_weights()])
    return layer


def naive_attention(rows, query, layer):
    """Equation (3): one row at a time through the activation unit over (h, q, h - q, h * q)."""
    first, bias, *rest = (layer.kernel, layer.bias, *(w for dense in (*layer.upper, layer.last) for w in dense.weights))
    weights = [np.array(weight) for weight in (first, bias, *rest)]
    pooled = np.zeros((BATCH, DIM))
    for b in range(BATCH):
        for h in rows[b][MASK[b]]:
            unit = np.concatenate([h, query[b], h - query[b], h * query[b]])
            for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                unit = np.maximum(unit @ kernel + bias, 0)
            pooled[b] += (unit @ weights[-2] + weights[-1]) * h
    return pooled


def test_the_mean_is_over_unmasked_rows(rows):
    expected = np.zeros((BATCH, DIM))
    for b in (0, 1, 3):
        expected[b] = np.mean([rows[b, j] for j in range(LENGTH) if MASK[b, j]], axis=0)
    pooled = mean_pooling(tf.constant(rows), tf.constant(MASK)).numpy()
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-7)
    assert not pooled[2].any()


@pytest.mark.parametrize("hidden", [(6,), (6, 4)])
def test_attention_equals_the_naive_twin(rows, query, hidden):
    layer = attention(hidden)
    pooled = np.array(layer(rows, query, MASK))
    np.testing.assert_allclose(pooled, naive_attention(rows, query, layer), rtol=1e-4, atol=1e-5)
    assert not pooled[2].any()


def test_attention_is_not_normalised(rows, query):
    """The same row twice counts twice; a softmax would normalise that away."""
    layer = attention()
    one, two = np.zeros((2, BATCH, LENGTH, DIM), np.float32)
    one[:, 0] = two[:, 0] = two[:, 1] = rows[:, 0] + 1
    mask = np.zeros((2, BATCH, LENGTH), bool)
    mask[0, :, :1] = mask[1, :, :2] = True
    np.testing.assert_allclose(layer(two, query, mask[1]), 2 * np.array(layer(one, query, mask[0])), rtol=1e-5)


def test_attention_is_serialized_and_every_weight_has_a_gradient(rows, query):
    layer = attention()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(rows, query, MASK)))
    gradients = tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
    assert len(gradients) == 6
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.parametrize("mask", [MASK, MASK[::-1], MASK & False])
def test_rows_without_padding_give_the_same_values_and_gradients(rows, query, mask):
    layer, owners = attention(), np.nonzero(mask)[0]
    weights = [variable.value for variable in layer.trainable_variables]

    def results(rows, pooled):
        rows, candidates = tf.constant(rows), tf.constant(query)
        with tf.GradientTape() as tape:
            tape.watch((rows, candidates))
            values = pooled(rows, candidates)
            loss = tf.reduce_sum(tf.square(values) * np.arange(1, BATCH + 1, dtype=np.float32)[:, None])
        return values, tape.gradient(loss, (rows, candidates, weights), unconnected_gradients="zero")

    forms = {"attention": (lambda rows, query: layer(rows, query, mask),
                           lambda rows, query: layer(rows, query, owners=owners)),
             "mean": (lambda rows, query: mean_pooling(rows, mask),
                      lambda rows, query: ragged_mean_pooling(rows, owners, BATCH))}
    for padded, present in forms.values():
        expected, (row_gradient, query_gradient, weight_gradients) = results(rows * mask[..., None], padded)
        pooled, (of_present, of_query, of_weights) = results(rows[mask], present)
        np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(of_present, row_gradient.numpy()[mask], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(of_query, query_gradient, rtol=1e-4, atol=1e-5)
        for one, other in zip(of_weights, weight_gradients, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
