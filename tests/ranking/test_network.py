import keras
import numpy as np
import pytest

from tfrs_pretrain.ranking.network import RankingNetwork

SHAPES = {"user": (None, 3), "item": (None, 4), "numeric": (None, 1)}


@pytest.fixture
def inputs():
    random = np.random.default_rng(0)
    return {name: random.standard_normal((5, shape[1])).astype(np.float32) for name, shape in SHAPES.items()}


def built(seed=7, hidden=(6, 2)):
    network = RankingNetwork(hidden, seed)
    network.build(SHAPES)
    return network


def test_call_equals_a_numpy_perceptron_over_inputs_in_name_order(inputs):
    network = built()
    first, first_bias, second, second_bias, head, head_bias = [w + 0.1 for w in network.get_weights()]
    network.set_weights([first, first_bias, second, second_bias, head, head_bias])
    joined = np.concatenate([inputs["item"], inputs["numeric"], inputs["user"]], axis=1)
    hidden = np.maximum(np.maximum(joined @ first + first_bias, 0) @ second + second_bias, 0)
    logits = network(inputs)
    assert logits.shape == (5, 1)
    np.testing.assert_allclose(logits, hidden @ head + head_bias, rtol=1e-5)


def test_initial_weights_follow_from_the_seed_and_differ_between_layers():
    first, again, other = built(), built(), built(seed=8)
    for one, same in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])
    square = RankingNetwork((8, 8), 7)
    square.build({"user": (None, 8)})
    kernels = [weights for weights in square.get_weights() if weights.shape == (8, 8)]
    assert not np.array_equal(*kernels)


def test_saved_and_loaded_network_gives_the_same_logits(tmp_path, inputs):
    network = built()
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert isinstance(loaded, RankingNetwork)
    assert (loaded.hidden, loaded.seed) == ((6, 2), 7)
    np.testing.assert_array_equal(network(inputs), loaded(inputs))


def test_inputs_of_another_width_are_refused(inputs):
    inputs["user"] = inputs["user"][:, :2]
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 8"):
        built()(inputs)


def test_no_hidden_layers_is_logistic_regression(inputs):
    network = built(hidden=())
    joined = np.concatenate([inputs["item"], inputs["numeric"], inputs["user"]], axis=1)
    np.testing.assert_allclose(network(inputs), joined @ network.get_weights()[0], rtol=1e-5)
