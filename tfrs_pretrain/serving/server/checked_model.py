"""A loaded model that validates requests before it runs its graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.protocol.signature_names import METHODS, SERIALIZED_EXAMPLES, SERVING_DEFAULT
from tfrs_pretrain.serving.server.errors import invalid_argument
from tfrs_pretrain.serving.server.request_limits import RequestLimits
from tfrs_pretrain.serving.session import LoadedModel


class CheckedModel:
    """A SavedModel that answers requests, or explains why a request is invalid. Thread-safe.

    Args:
      folder: folder of the model version.
      limits: limits on a request.

    Attributes:
      signatures: ``SignatureDef`` by name.

    Raises:
      UserError: the model does not load.
    """

    def __init__(self, folder: Path, limits: RequestLimits):
        self._limits, self._loaded = limits, LoadedModel(folder)
        self.signatures: Mapping[str, Any] = self._loaded.signatures

    def signature(self, name: str, *, method: str | None = None) -> str:
        """Returns the name of an existing signature; an empty name means ``serving_default``.

        Args:
          name: requested name.
          method: "classify" or "regress" if the signature must belong to that method.

        Raises:
          StatusError: INVALID_ARGUMENT, there is no such signature, or it belongs to another method.
        """
        name = name or SERVING_DEFAULT
        if name not in self.signatures:
            raise invalid_argument(f"serving signature name: {name!r} not found in signature def")
        received = self.signatures[name].method_name
        if method and received != METHODS[method]:
            raise invalid_argument(f"signature {name!r} has method {received!r}, expected {METHODS[method]!r}")
        return name

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Iterable[str] = ()
            ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
          signature: name of an existing signature.
          inputs: input name -> values.
          outputs: names of the requested outputs; empty: all of them.

        Returns:
          Output name -> values.

        Raises:
          StatusError: INVALID_ARGUMENT, names, dtypes or shapes differ from the signature's, or the batch is too large.
          tf.errors.OpError: the graph rejects the values.
        """
        spec = self.signatures[signature]
        self._check_inputs(spec.inputs, inputs)
        requested = _requested_outputs(list(outputs), spec.outputs)
        results = self._loaded.run(signature, inputs)
        return {name: results[name] for name in requested}

    def run_examples(self, signature: str, serialized: list[bytes]) -> dict[str, np.ndarray]:
        """Runs a signature whose input is serialized ``tf.Example``s; see ``run``."""
        examples = np.empty(len(serialized), object)
        examples[:] = serialized
        return self.run(signature, {SERIALIZED_EXAMPLES: examples})

    def close(self) -> None:
        """Frees the model's memory; all requests must have ended."""
        self._loaded.close()

    def _check_inputs(self, expected: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> None:
        extra, missing = sorted(inputs.keys() - expected.keys()), sorted(expected.keys() - inputs.keys())
        if extra or missing:
            raise invalid_argument(f"input size does not match signature: {len(inputs)}!={len(expected)}. "
                                   f"Sent extra: {extra}. Missing but required: {missing}.")
        for name, info in expected.items():
            _check_input(name, info, inputs[name])
            if inputs[name].shape and len(inputs[name]) > self._limits.batch:
                raise invalid_argument(f"input {name!r} has a batch of {len(inputs[name])}, the maximum is "
                                       f"{self._limits.batch}")


def _requested_outputs(names: list[str], available: Mapping[str, Any]) -> list[str]:
    if len(set(names)) < len(names):
        raise invalid_argument(f"duplicate output tensor alias in {names}")
    for name in names:
        if name not in available:
            raise invalid_argument(f"output {name!r} is not one of the signature's {sorted(available)}")
    return names or list(available)


def _check_input(name: str, info: Any, values: np.ndarray) -> None:
    """Compares dtype and shape of an input with the signature's ``TensorInfo``."""
    dtype = tf.as_dtype(info.dtype)
    if values.dtype != dtype.as_numpy_dtype:
        received = "string" if values.dtype == object else values.dtype.name
        raise invalid_argument(f"input {name!r} expects {dtype.name} but {received} is provided")
    shape = [dim.size for dim in info.tensor_shape.dim]
    if not info.tensor_shape.unknown_rank and not _matches(values.shape, shape):
        raise invalid_argument(f"input {name!r} has shape {list(values.shape)}, expected "
                               f"{[None if size < 0 else size for size in shape]}")


def _matches(shape: tuple[int, ...], expected: list[int]) -> bool:
    """Compares a shape with an expected one, in which -1 stands for any size."""
    return len(shape) == len(expected) and all(
        wanted in (-1, size) for wanted, size in zip(expected, shape, strict=True))
