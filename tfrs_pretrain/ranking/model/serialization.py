"""Keras's serialization of a network that a caller created, and its inverse in any process."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Iterator
from typing import Any

import keras

from tfrs_pretrain.config import Config, SerializedNetwork, parse_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.own_code import reason
from tfrs_pretrain.progress import print_warning

_ADVICE = "define its class in a module that other processes can import, with get_config for its arguments"


def with_network(config: Config, network: Any) -> Config:
    """Return a configuration with a network that the caller created, and say so if its weights are not used.

    Raises:
      UserError: see ``serialized``.
    """
    tree = config.resolved()
    choice = SerializedNetwork(content=serialized(network)).model_dump(mode="json")
    tree["ranking"] |= {"network": choice, "backbone": {"kind": "mlp"}}
    if network.weights:
        print_warning(f"network={type(network).__name__}: its weights are not used; training starts from weights drawn "
                      f"from seed {config.seed}, or from those of start_from")
    return parse_config(tree, origin=config.name)


def serialized(network: Any) -> dict[str, Any]:
    """Return what ``rebuilt`` creates the network from, as JSON; it has no weights.

    Raises:
      UserError: it is no Keras model or layer, or cannot be rebuilt in another process.
    """
    if not isinstance(network, keras.layers.Layer):
        raise UserError(f"network={type(network).__name__} is not a Keras 3 model or layer: derive it from "
                        "keras.Model, of the package keras")
    try:
        content: dict[str, Any] = json.loads(json.dumps(keras.saving.serialize_keras_object(network)))
    except Exception as error:  # the user's get_config may raise anything
        raise _unusable(network, reason(error)) from error
    if any(module == "__main__" for module, _, _ in _own_classes(content)):
        raise _unusable(network, "its class is defined in __main__, which no other process can import")
    rebuilt(content)
    return content


def rebuilt(content: dict[str, Any]) -> Any:
    """Create a network from Keras's serialization.

    Raises:
      UserError: a class cannot be imported, or Keras cannot rebuild it.
    """
    try:
        classes = {name: getattr(importlib.import_module(module), attribute)
                   for module, attribute, name in _own_classes(content)}
        # Keras takes keys out of what it reads.
        return keras.saving.deserialize_keras_object(copy.deepcopy(content), custom_objects=classes)
    except Exception as error:  # the user's code may raise anything
        raise _unusable(content.get("class_name"), reason(error)) from error


def _own_classes(content: Any) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and registered name of each class that is not Keras's own."""
    if isinstance(content, list):
        for value in content:
            yield from _own_classes(value)
    if isinstance(content, dict):
        # Keras writes no module for a class of __main__.
        module, name = content.get("module", "keras") or "__main__", content.get("class_name")
        if isinstance(module, str) and isinstance(name, str) and module.partition(".")[0] not in ("keras", "builtins"):
            yield module, name, content.get("registered_name") or name
        for value in content.values():
            yield from _own_classes(value)


def _unusable(network: Any, problem: str) -> UserError:
    name = network if isinstance(network, str) else type(network).__name__
    return UserError(f"network={name} cannot be rebuilt from its configuration ({problem}): {_ADVICE}")
