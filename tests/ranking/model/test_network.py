import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.ranking.model.configured_network import make_network
from tfrs_pretrain.ranking.model.contract import with_masks
from tfrs_pretrain.ranking.model.mlp import Mlp
from tfrs_pretrain.ranking.model.network import RankingNetwork

SHAPES = {"user": (None, 3), "item": (None, 4), "numeric": (None, 1)}


@pytest.fixture
def inputs():
    random = np.random.default_rng(0)
    return {name: random.standard_normal((5, shape[1])).astype(np.float32) for name, shape in SHAPES.items()}


def built(seed=7, hidden=(6, 2)):
    network = RankingNetwork(Mlp(hidden, seed), seed)
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
    square = RankingNetwork(Mlp((8, 8), 7), 7)
    square.build({"user": (None, 8)})
    kernels = [weights for weights in square.get_weights() if weights.shape == (8, 8)]
    assert not np.array_equal(*kernels)


def test_saved_and_loaded_network_gives_the_same_logits(tmp_path, inputs):
    network = built()
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert isinstance(loaded, RankingNetwork)
    assert (loaded.backbone.hidden, loaded.seed) == ((6, 2), 7)
    np.testing.assert_array_equal(network(inputs), loaded(inputs))


def test_inputs_of_another_width_are_refused(inputs):
    inputs["user"] = inputs["user"][:, :2]
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 8"):
        built()(inputs)


def test_no_hidden_layers_is_logistic_regression(inputs):
    network = built(hidden=())
    joined = np.concatenate([inputs["item"], inputs["numeric"], inputs["user"]], axis=1)
    np.testing.assert_allclose(network(inputs), joined @ network.get_weights()[0], rtol=1e-5)


def full(**changes):
    """A network with every option: cross layers, towers, three heads, mean and attention pooling."""
    settings = {"kind": "dcn_v2", "rank": 2} | changes.pop("backbone", {})
    config = RankingConfig.model_validate({
        "backbone": settings, "labels": {"follow": 1.0, "share": 0.5}, "head_hidden": [3], "attention_hidden": [5],
        "arms": {}} | changes)
    network = make_network(config, hidden=(6, 4), seed=7, attention=("history",))
    network.build({**SHAPES, "history": (None, 4, 4), "tags": (None, 2, 3)})
    return network


@pytest.fixture
def everything(inputs):
    random = np.random.default_rng(1)
    lists = {"history": random.standard_normal((5, 4, 4)), "tags": random.standard_normal((5, 2, 3))}
    masks = {name: random.random(rows.shape[:2]) < 0.5 for name, rows in lists.items()}
    return inputs | {name: rows.astype(np.float32) for name, rows in lists.items()}, masks


def test_padding_of_any_content_changes_nothing(everything):
    inputs, masks = everything
    network = full()
    expected = network(with_masks(inputs, masks))
    for name, mask in masks.items():
        inputs[name] = np.where(mask[..., None], inputs[name], np.float32("nan"))
    np.testing.assert_array_equal(network(with_masks(inputs, masks)), expected)
    for name in masks:
        moved = inputs | {name: np.where(masks[name][..., None], inputs[name] + 1, 0)}
        assert not np.array_equal(network(with_masks(moved, masks)), expected), name


def test_attention_depends_on_the_candidate_item(everything):
    inputs, masks = everything
    network = full()
    layer = network.attention["history"]
    masks = {name: np.ones_like(mask) for name, mask in masks.items()}
    seen = []
    layer.call = lambda rows, query, mask: seen.append(np.array(query)) or rows[:, 0]
    network(with_masks(inputs, masks))
    np.testing.assert_array_equal(seen[0], inputs["item"])


def test_heads_share_only_the_backbone(everything):
    network = full()
    before = np.array(network(with_masks(*everything)))
    assert before.shape == (5, 3)
    network.towers[1].set_weights([weight + 0.5 for weight in network.towers[1].get_weights()])
    network.heads[2].set_weights([weight + 0.5 for weight in network.heads[2].get_weights()])
    after = np.array(network(with_masks(*everything)))
    assert (before != after).any(axis=0).tolist() == [False, True, True]
    network.backbone.set_weights([weight + 0.5 for weight in network.backbone.get_weights()])
    assert (np.array(network(with_masks(*everything))) != after).any(axis=0).all()


def test_a_network_with_every_option_is_saved_and_loaded(tmp_path, everything):
    network = full()
    network.set_weights([weight + 0.1 for weight in network.get_weights()])
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(network.get_config())  # JSON has no tuples
    np.testing.assert_array_equal(network(with_masks(*everything)), loaded(with_masks(*everything)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_computes_in_half_and_returns_float32(everything, policy, tmp_path):
    network, reference = full(mixed_precision=policy), full()
    half = policy.removeprefix("mixed_")
    assert {layer.compute_dtype for layer in (network.backbone, *network.towers, *network.attention.values())} == {half}
    assert {layer.compute_dtype for layer in network.heads} == {"float32"}
    assert {variable.dtype for variable in network.variables} == {"float32"}
    logits = np.array(network(with_masks(*everything)))
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, reference(with_masks(*everything)), atol=0.1)
    assert not np.array_equal(logits, reference(with_masks(*everything)))
    network.save(tmp_path / "network.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "network.keras")(with_masks(*everything)), logits)


def test_every_weight_gets_a_gradient(everything):
    network = full()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(with_masks(*everything)) - 1))
    variables = network.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("changes", [
    {}, {"backbone": {"structure": "stacked", "rank": None}}, {"backbone": {"kind": "mlp"}},
    {"mixed_precision": "mixed_bfloat16"}])
@pytest.mark.parametrize("candidates", [0, 1, 5])
def test_one_user_row_equals_the_same_row_repeated_for_every_candidate(everything, changes, candidates):
    inputs, masks = everything
    if changes.get("backbone", {}).get("kind") == "mlp":
        config = RankingConfig.model_validate({"backbone": {"kind": "mlp"}, "attention_hidden": [5], "arms": {}})
        network = make_network(config, hidden=(6, 4), seed=7, attention=("history",))
        network.build({**SHAPES, "history": (None, 4, 4), "tags": (None, 2, 3)})
    else:
        network = full(**changes)
    items = {"item": inputs["item"][:candidates], "numeric": inputs["numeric"][:candidates]}
    user = {name: inputs[name][:1] for name in ("user", "tags", "history")}
    repeated = items | {name: np.repeat(values, candidates, axis=0) for name, values in user.items()}
    expected = network(with_masks(repeated, {name: np.repeat(masks[name][:1], candidates, axis=0) for name in masks}))
    found = network(with_masks(items | user, {name: masks[name][:1] for name in masks}),
                    sides=[("tags", "user"), (), ("history", "numeric", "item")])
    assert found.shape == (candidates, len(network.heads))
    np.testing.assert_allclose(found, expected, atol=0.02 if "mixed_precision" in changes else 1e-6)
    assert candidates < 2 or np.ptp(found, axis=0).min() > 0


def test_sides_without_hidden_layers_are_joined_in_order_of_name(inputs):
    network = built(hidden=())
    sides = [("user",), ("numeric", "item")]
    one = inputs | {"user": inputs["user"][:1]}
    joined = np.concatenate([inputs["item"], inputs["numeric"], np.repeat(one["user"], 5, axis=0)], axis=1)
    np.testing.assert_allclose(network(one, sides=sides), joined @ network.get_weights()[0], rtol=1e-5)
