"""Adapter of a network of the user's own: it is saved by what creates it, and rebuilt from that in any process."""

from __future__ import annotations

import contextlib
import inspect
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.own_code import create, reason
from tfrs_pretrain.ranking.model.contract import Shape, accepts_one_user_row, accepts_unpadded_rows, with_masks
from tfrs_pretrain.ranking.model.serialization import rebuilt


@keras.saving.register_keras_serializable("tfrs_pretrain")
class OwnNetwork(keras.Model):
    """A network that fulfils ``contract``, created by a dotted path or from Keras's serialization.

    Args:
      source: ``{"path": ..., "settings": {...}, "offered": {...}}``, arguments of ``own_code.create``, or
        ``{"serialized": {...}}``, see ``serialization``.
      seed: of initial weights whose initializer has no seed.

    Raises:
      UserError: the network cannot be created, or is no Keras model or layer.
    """

    def __init__(self, source: Mapping[str, Any], seed: int, **kwargs: Any):
        self._source = json.dumps(dict(source))
        with _drawn_from(seed):
            inner = _create(json.loads(self._source))
        # Features reach the inner network as float32; it casts them by its own policy.
        super().__init__(**kwargs, autocast=False)
        self.seed, self.inner = seed, inner
        self._has_sides = "sides" in inspect.signature(inner.call).parameters
        self._names = _functional_inputs(inner)

    @property
    def title(self) -> str:
        """The network for messages."""
        source = json.loads(self._source)
        return repr(source["path"]) if "path" in source else f"network={type(self.inner).__name__}"

    @property
    def accepts_one_user_row(self) -> bool:
        """See ``contract.OneUserRow``."""
        return accepts_one_user_row(self.inner)

    @property
    def accepts_unpadded_rows(self) -> bool:
        """See ``contract.UnpaddedRows``."""
        return accepts_unpadded_rows(self.inner)

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        """Create the weights by a call with zeros; input shapes: name -> (None, width) or (None, length, width).

        Raises:
          UserError: the call fails.
        """
        features = zeros(input_shape)
        try:
            with _drawn_from(self.seed + 1):
                self.call(features)
        except Exception as error:  # the user's code may raise anything
            received = {name: f"{values.dtype}{list(values.shape)}" for name, values in features.items()}
            raise UserError(f"network {self.title} cannot be called with the ranker's features ({reason(error)}); it "
                            f"received {received}: see the page on your own network") from error
        self.built = True

    def call(self, features: Mapping[str, Any], training: bool = False, sides: Sequence[Sequence[str]] | None = None,
             owners: Mapping[str, Any] | None = None) -> Any:
        """Return float32 logits; arguments as in ``contract``."""
        del training  # Keras passes it to the inner network itself
        known = {name: features[name] for name in self._names if name in features} if self._names else dict(features)
        further: dict[str, Any] = {"sides": sides} if sides is not None and self._has_sides else {}
        logits = self.inner(known, **further, **({"owners": owners} if owners else {}))
        return keras.ops.cast(logits, "float32") if keras.ops.is_tensor(logits) else logits

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "source": json.loads(self._source), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> OwnNetwork:
        del custom_objects
        return cls(**{name: value for name, value in config.items() if name != "autocast"})


def zeros(shapes: Mapping[str, Shape], batch: int = 2) -> dict[str, np.ndarray]:
    """Return features of zeros, with masks that mark every row as valid."""
    inputs = {name: np.zeros((batch, *map(int, filter(None, shape[1:]))), np.float32) for name, shape in shapes.items()}
    return with_masks(inputs, {name: np.ones(values.shape[:2], bool) for name, values in inputs.items()
                               if values.ndim == 3})


def _create(source: Mapping[str, Any]) -> Any:
    if "path" in source:
        network = create(source["path"], source["settings"], source["offered"], for_kwargs=("dtype",))
        if not isinstance(network, keras.layers.Layer):
            raise UserError(f"{source['path']!r} returns {type(network).__name__}, not a Keras 3 model or layer: "
                            "derive it from keras.Model, of the package keras")
        return network
    return rebuilt(source["serialized"])


def _functional_inputs(network: Any) -> tuple[str, ...]:
    """Return the names of a functional model's inputs, which accepts no others; empty for other networks."""
    inputs = getattr(network, "_inputs_struct", None)
    if inputs is None:
        return ()
    if not isinstance(inputs, dict):
        raise UserError(f"functional model {network.name!r} has inputs without names: create it with a dict of "
                        "keras.Input, such as keras.Model({'user': user, 'item': item}, logits)")
    return tuple(inputs)


@contextlib.contextmanager
def _drawn_from(seed: int) -> Iterator[None]:
    """Make Keras draw the seeds of initializers and dropout layers without a seed from ``seed``."""
    state = random.getstate()  # Keras draws them from Python's generator
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
