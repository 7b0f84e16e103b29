"""Checks of a network of the user's own before anything is trained: it fulfils ``contract`` and can be served."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfrs_pretrain.artifact_names import NETWORK_FILE, SAVED_MODEL_FILE
from tfrs_pretrain.config import ArmConfig, OnlineTeacher, RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.raw_input import USER
from tfrs_pretrain.own_code import reason
from tfrs_pretrain.quiet import quiet_tensorflow
from tfrs_pretrain.ranking.arm_memory_plan import one_row_learners
from tfrs_pretrain.ranking.build import teacher_settings
from tfrs_pretrain.ranking.model.contract import MASK, Shape
from tfrs_pretrain.ranking.model.graph_operations import foreign_operations, operations
from tfrs_pretrain.ranking.model.own_network import OwnNetwork, zeros
from tfrs_pretrain.ranking.model.ranker import feature_shapes
from tfrs_pretrain.ranking.model.saved_network import load_network

_BATCH, _TOLERANCE = 3, 1e-3
Features = dict[str, np.ndarray]


def check_own_networks(config: RankingConfig, dataset: Dataset, arm: ArmConfig) -> None:
    """Check the networks of an arm that are not this package's.

    Raises:
      UserError: see ``check_network``.
    """
    teacher = arm.distillation.teacher if arm.distillation else None
    settings = [config, *([teacher_settings(config, teacher)] if isinstance(teacher, OnlineTeacher) else [])]
    if not any(each.has_own_network for each in settings):
        return
    for _, learner in one_row_learners(config.for_arm(arm), dataset, arm):
        ranker = learner.ranker
        if isinstance(ranker.network, OwnNetwork):
            shapes = feature_shapes(ranker.inputs, {name: table.dim for name, table in ranker.tables.items()})
            users = [row.name for row in ranker.inputs.rows if row.pooling != "attention"
                     and dataset.schema.inputs[row.column].raw_input.side == USER]
            check_network(ranker.network, shapes, len(ranker.labels), users, jit_compile=config.jit_compile)


def check_network(network: OwnNetwork, shapes: Mapping[str, Shape], heads: int, users: Sequence[str], *,
                  jit_compile: bool = False) -> None:
    """Check a built network.

    Args:
      network: the network.
      shapes: of its inputs.
      heads: number of logits that it must return for each impression.
      users: names of the inputs that depend only on the user.
      jit_compile: whether its training is compiled with XLA.

    Raises:
      UserError: it returns another shape, has no trainable weights or unused ones, mixes impressions, reads padding, or
        cannot be compiled, saved, rebuilt or exported.
    """
    features = _random_features(shapes)
    _check_logits(network, features, heads)
    _check_gradients(network, features)
    if jit_compile:
        _check_compilation(network, features)
    logits = np.asarray(network(features, training=False))  # training changes the state of some layers
    _check_equal(network, logits[:1], {name: values[:1] for name, values in features.items()},
                 "depend on the other impressions of the batch: compute each row by itself")
    _check_padding(network, features, logits)
    if network.accepts_one_user_row:
        _check_one_user_row(network, features, users)
    with tempfile.TemporaryDirectory() as folder, quiet_tensorflow():
        _check_saving(network, features, logits, Path(folder) / NETWORK_FILE)
        _check_export(network, shapes, Path(folder) / "model")


def _random_features(shapes: Mapping[str, Shape]) -> Features:
    """Return normal values; in every list the last row is padding."""
    random = np.random.default_rng(0)
    features = zeros(shapes, _BATCH)
    for name, values in features.items():
        if name.endswith(MASK):
            values[:, -1] = False
        else:
            values[...] = random.standard_normal(values.shape)
    return features


def _check_logits(network: OwnNetwork, features: Features, heads: int) -> None:
    with _explained(network, "cannot be called"):
        logits = network(features, training=False)
    if not tf.is_tensor(logits):
        raise _refusal(network, f"returns {type(logits).__name__}, expected one tensor of logits [batch, {heads}]")
    if tuple(logits.shape) != (_BATCH, heads):
        raise _refusal(network, f"returns logits of shape {list(logits.shape)} for {_BATCH} impressions, expected "
                                f"[{_BATCH}, {heads}]: one for each label, such as keras.layers.Dense({heads})")
    if not np.isfinite(logits).all():
        raise _refusal(network, "returns logits that are not finite for ordinary values")


def _check_gradients(network: OwnNetwork, features: Features) -> None:
    variables = network.trainable_variables
    if not variables:
        raise _refusal(network, "has no trainable weight: create layers in __init__ and use them in call")
    with _explained(network, "cannot be trained"), tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(features, training=True))
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    unused = [variable.path for variable, gradient in zip(variables, gradients, strict=True) if gradient is None]
    if unused:
        raise _refusal(network, f"has trainable weight {unused[0]!r}, which does not change the logits: use or remove "
                                "it, or set trainable=False")


def _check_compilation(network: OwnNetwork, features: Features) -> None:
    def gradients(tensors: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(tensors, training=True))
        return list(tape.gradient(loss, [variable.value for variable in network.trainable_variables]))

    with _explained(network, "cannot be compiled with XLA; set ranking.jit_compile to false, or use other operations"):
        tf.function(gradients, jit_compile=True, autograph=False)(
            {name: tf.constant(values) for name, values in features.items()})


def _check_padding(network: OwnNetwork, features: Features, logits: np.ndarray) -> None:
    for mask in [name for name in features if name.endswith(MASK)]:
        name = mask.removesuffix(MASK)
        other = features[name].copy()
        other[:, -1] = 7.0
        _check_equal(network, logits, features | {name: other},
                     f"depend on padded rows of {name!r}: multiply them by features[{mask!r}]")
        shorter = {name: features[name][:, :-1], mask: features[mask][:, :-1]}
        _check_equal(network, logits, features | shorter,
                     f"change with the length to which {name!r} is padded, which varies in a served model")


def _check_one_user_row(network: OwnNetwork, features: Features, users: Sequence[str]) -> None:
    one = {name: values[:1] for name, values in features.items() if name.removesuffix(MASK) in users}
    with _explained(network, "cannot be called"):
        expected = np.asarray(network(features | {name: np.repeat(row, _BATCH, axis=0) for name, row in one.items()}))
    items = tuple(name for name in features if name not in one and not name.endswith(MASK))
    _check_equal(network, expected, features | one,
                 "differ for one user row, which OneUserRow declares to be accepted", sides=(tuple(users), (), items))


def _check_equal(network: OwnNetwork, expected: np.ndarray, features: Features, problem: str, **split: Any) -> None:
    with _explained(network, "cannot be called"):
        found = np.asarray(network(features, training=False, **split))
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        raise _refusal(network, f"returns logits that {problem}")


def _check_saving(network: OwnNetwork, features: Features, logits: np.ndarray, path: Path) -> None:
    with _explained(network, "cannot be saved and rebuilt"):
        network.save(path)
        loaded = np.asarray(load_network(path)(features, training=False))
    if not np.array_equal(loaded, logits):
        raise _refusal(network, "returns other logits after it was saved and loaded: create every weight in the same "
                                "way from the arguments")


def _check_export(network: OwnNetwork, shapes: Mapping[str, Shape], folder: Path) -> None:
    """Save a SavedModel of the network and load it as TensorFlow Serving does."""
    specs = {name: tf.TensorSpec([None, None, *values.shape[2:]] if values.ndim == 3 or name.endswith(MASK)
                                 else [None, *values.shape[1:]], values.dtype, name.replace(".", "_"))
             for name, values in zeros(shapes).items()}
    module = tf.Module()
    module.network = tf.function(lambda features: {"logits": network(features, training=False)}, autograph=False)
    # TensorFlow Serving does not find variables that only a Keras 3 model references.
    module.dense = [variable.value for variable in network.variables]
    with _explained(network, "cannot be exported"):
        tf.saved_model.save(module, str(folder), module.network.get_concrete_function(specs))
        used = operations(saved_model_pb2.SavedModel.FromString((folder / SAVED_MODEL_FILE).read_bytes()))
        if not foreign_operations(used):
            with tf.compat.v1.Session(graph=tf.Graph()) as session:
                tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
    if foreign := foreign_operations(used):
        raise _refusal(network, f"cannot be exported: it uses {foreign}, which TensorFlow Serving does not have; use "
                                "keras.ops or TensorFlow's operations")


@contextlib.contextmanager
def _explained(network: OwnNetwork, problem: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the user's code may raise anything
        raise _refusal(network, f"{problem} ({reason(error)})") from error


def _refusal(network: OwnNetwork, problem: str) -> UserError:
    return UserError(f"network {network.title} {problem}")
