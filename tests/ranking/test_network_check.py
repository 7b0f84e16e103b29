"""A network of the user's own with a mistake is refused by one line before anything is trained."""

import keras
import numpy as np
import own_networks
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.own_network import OwnNetwork
from tfrs_pretrain.ranking.network_check import check_network

SHAPES = {"user": (None, 8), "item": (None, 8), "tags": (None, 3, 4), "numeric": (None, 2)}
USERS = ("user", "tags")


def checked(name, heads=1, **settings):
    network = OwnNetwork({"path": f"own_networks:{name}", "settings": settings, "offered": {"heads": heads}}, seed=3)
    network.build(SHAPES)
    check_network(network, SHAPES, heads, USERS)
    return network


@pytest.mark.parametrize("name", ["Own", "TwoTowers", "functional", "Ragged"])
def test_a_network_that_fulfils_the_contract_passes(name):
    assert checked(name).title == f"'own_networks:{name}'"


@pytest.mark.parametrize(("name", "message"), [
    ("OneLogit", r"returns logits of shape \[3\] for 3 impressions, expected \[3, 1\]: one for each label"),
    ("Dictionary", "returns dict, expected one tensor of logits"),
    ("Constant", "has no trainable weight: create layers in __init__"),
    ("NotFinite", "returns logits that are not finite"),
    ("Unused", "has trainable weight '.*kernel', which does not change the logits"),
    ("MixesImpressions", "returns logits that depend on the other impressions of the batch"),
    ("ReadsPadding", r"returns logits that depend on padded rows of 'tags': multiply them by features\['tags.mask'\]"),
    ("ReadsLength", "returns logits that change with the length to which 'tags' is padded"),
    ("OneUserRowInName", "cannot be called|differ for one user row"),
    ("CallsPython", r"cannot be exported: it uses \['EagerPyFunc'\], which TensorFlow Serving does not have"),
    ("NeedsNumpy", "cannot be exported"),
    ("DrawsWeights", "cannot be saved and rebuilt"),
    ("UnknownFeature", r"cannot be called with the ranker's features \(KeyError: .*price.*\); it received "
                       r"\{'user': 'float32\[2, 8\]', .*'tags.mask': 'bool\[2, 3\]'"),
    ("fails", r"'own_networks:fails' cannot be created with \{\} \(RuntimeError: no GPU in this house\)"),
    ("number", "'own_networks:number' returns int, not a Keras 3 model or layer"),
    ("Absent", "'own_networks:Absent' cannot be imported .*has no attribute 'Absent'"),
])
def test_a_mistake_is_one_line(name, message):
    with pytest.raises(UserError, match=message) as caught:
        checked(name)
    assert "\n" not in str(caught.value)


def test_a_network_that_xla_cannot_compile_is_refused_where_it_is_compiled():
    network = checked("ReadsTexts")
    with pytest.raises(UserError, match=r"cannot be compiled with XLA; set ranking\.jit_compile to false") as caught:
        check_network(network, SHAPES, 1, USERS, jit_compile=True)
    assert "\n" not in str(caught.value)


def test_a_network_with_another_number_of_heads_is_refused():
    with pytest.raises(UserError, match=r"shape \[3, 1\] for 3 impressions, expected \[3, 2\].*Dense\(2\)"):
        checked("functional", heads=2)


@pytest.mark.parametrize(("path", "settings", "message"), [
    ("no_such_module:Model", {}, "'no_such_module:Model' cannot be imported .*PYTHONPATH"),
    ("own_networks:number", {"depth": 2}, r"has no setting 'depth': its parameters are \['units'\]"),
    ("own_networks:Own", {"depth": 2}, "cannot be created with .*Unrecognized keyword arguments"),
    ("own_networks:Own", {"units": "many"}, "cannot be created with"),
    ("own_networks:np", {}, "is not a class or function"),
])
def test_wrong_paths_and_settings_are_refused(path, settings, message):
    with pytest.raises(UserError, match=message) as caught:
        OwnNetwork({"path": path, "settings": settings, "offered": {}}, seed=3)
    assert "\n" not in str(caught.value)


def test_initial_weights_follow_from_the_seed_alone():
    def weights(seed):
        network = OwnNetwork({"path": "own_networks:functional", "settings": {}, "offered": {}}, seed=seed)
        network.build(SHAPES)
        return network.get_weights()

    first = weights(3)
    keras.utils.set_random_seed(99)
    for one, again in zip(first, weights(3), strict=True):
        np.testing.assert_array_equal(one, again)
    assert not np.array_equal(first[0], weights(4)[0])


def test_a_functional_model_without_names_is_refused():
    inputs = keras.Input((8,))
    own_networks.unnamed = lambda: keras.Model([inputs, keras.Input((8,))], keras.layers.Dense(1)(inputs))
    with pytest.raises(UserError, match="has inputs without names"):
        OwnNetwork({"path": "own_networks:unnamed", "settings": {}, "offered": {}}, seed=3)
