import keras
import numpy as np
import pytest

from tfrs_pretrain.config import DcnV2Backbone, MlpBackbone, RankingConfig
from tfrs_pretrain.ranking.model.backbones.dcn_v2 import CrossLayer
from tfrs_pretrain.ranking.model.configured_network import make_network

WIDTH, BATCH = 5, 7


@pytest.fixture
def inputs():
    return np.random.default_rng(0).standard_normal((BATCH, WIDTH)).astype(np.float32)


def randomized(layer, seed=1):
    """Sets weights without zeros, so that a missing term changes the result."""
    random = np.random.default_rng(seed)
    layer.set_weights([random.standard_normal(weight.shape) * 0.3 for weight in layer.get_weights()])
    return layer.get_weights()


def make_backbone(settings, hidden, seed):
    config = RankingConfig(backbone=settings, arms={})
    return make_network(config, hidden=hidden, seed=seed, attention=()).backbone


def built(hidden=(6, 3), **settings):
    layer = make_backbone(DcnV2Backbone(kind="dcn_v2", **settings), hidden, seed=4)
    layer.build((None, WIDTH))
    return layer


def perceptron(values, weights):
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        values = np.maximum(values @ kernel + bias, 0)
    return values


def crossed(inputs, weights, rank):
    """Equation (1), or (2) with a rank, for one impression and feature at a time."""
    features = inputs
    step = 3 if rank else 2
    for first in range(0, len(weights), step):
        *kernels, bias = weights[first:first + step]
        matrix = (kernels[0] @ kernels[1] if rank else kernels[0]).T  # W in W x of a column vector x
        features = np.array([[x0[i] * (matrix[i] @ x + bias[i]) + x[i] for i in range(WIDTH)]
                             for x0, x in zip(inputs, features, strict=True)])
    return features


@pytest.mark.parametrize("rank", [None, 2])
def test_a_cross_layer_equals_stock_tfrs(inputs, rank):
    from tfrs_pretrain.pretraining.recommenders import keras_2, tfrs

    layer = CrossLayer(rank, 0)
    layer.build((None, WIDTH))
    weights = randomized(layer)
    with keras_2():
        stock = tfrs.layers.dcn.Cross(projection_dim=rank)
        stock(inputs, inputs)  # builds its weights
    stock.set_weights(weights)
    features = inputs[::-1].copy()
    np.testing.assert_allclose(layer(features, inputs), stock(inputs, features), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_the_backbone_equals_a_numpy_twin(inputs, structure, rank):
    layer = built(cross_layers=3, rank=rank, structure=structure)
    weights = randomized(layer)
    cross = crossed(inputs, weights[4:], rank)
    expected = (perceptron(cross, weights[:4]) if structure == "stacked"
                else np.concatenate([cross, perceptron(inputs, weights[:4])], axis=1))
    output = layer(inputs)
    assert layer.compute_output_shape((BATCH, WIDTH)) == tuple(output.shape) == expected.shape
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


def test_initial_weights_follow_from_the_seed_and_differ_between_layers():
    first, again = built(cross_layers=2).get_weights(), built(cross_layers=2).get_weights()
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    kernels = [weights for weights in first if weights.shape == (WIDTH, WIDTH)]
    assert len(kernels) == 2
    assert not np.array_equal(*kernels)


@pytest.mark.parametrize("settings", [MlpBackbone(), DcnV2Backbone(kind="dcn_v2"), DcnV2Backbone(
    kind="dcn_v2", cross_layers=3, rank=2, structure="stacked")])
def test_every_backbone_is_serialized_and_every_weight_has_a_gradient(settings, inputs):
    import tensorflow as tf

    layer = make_backbone(settings, (6, 3), seed=4)
    layer.build((None, WIDTH))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again.build((None, WIDTH)) if not again.built else None
    again.set_weights(layer.get_weights())
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(layer(inputs), again(inputs))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(inputs)))
    for variable, gradient in zip(layer.trainable_variables,
                                  tape.gradient(loss, [v.value for v in layer.trainable_variables]), strict=True):
        assert np.abs(gradient).max() > 0, variable.path
