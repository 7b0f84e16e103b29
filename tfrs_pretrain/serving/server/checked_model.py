"""One version of a model in memory, with what a request must be before the graph sees it."""

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
    """A SavedModel that answers requests or says what is wrong with them; may be used by several threads.

    Args:
      folder: of the version.
      limits: what a request may ask for.

    Attributes:
      signatures: ``SignatureDef`` by name.
    """

    def __init__(self, folder: Path, limits: RequestLimits):
        self._limits, self._loaded = limits, LoadedModel(folder)
        self.signatures: Mapping[str, Any] = self._loaded.signatures

    def signature(self, name: str, *, method: str | None = None) -> str:
        """The name of a signature that there is, the default one where it is empty.

        Raises:
          Refused: there is none, or it is for another method.
        """
        name = name or SERVING_DEFAULT
        if name not in self.signatures:
            raise invalid_argument(f"serving signature name: {name!r} not found in signature def")
        came = self.signatures[name].method_name
        if method and came != METHODS[method]:
            raise invalid_argument(f"signature {name!r} has method {came!r}, expected {METHODS[method]!r}")
        return name

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Iterable[str] = ()
            ) -> dict[str, np.ndarray]:
        """Output -> values, of all outputs or of those that are named.

        Raises:
          Refused: names, dtypes or shapes differ from the signature's, or the batch is too large.
          tf.errors.OpError: the graph refuses the values.
        """
        of = self.signatures[signature]
        self._check(of.inputs, inputs)
        wanted = list(outputs) or list(of.outputs)
        if len(set(wanted)) < len(wanted):
            raise invalid_argument(f"duplicate output tensor alias in {wanted}")
        for name in wanted:
            if name not in of.outputs:
                raise invalid_argument(f"output {name!r} is not one of the signature's {sorted(of.outputs)}")
        found = self._loaded.run(signature, inputs)
        return {name: found[name] for name in wanted}

    def run_examples(self, signature: str, serialized: list[bytes]) -> dict[str, np.ndarray]:
        """The same for a signature whose input is serialized ``tf.Example``s."""
        examples = np.empty(len(serialized), object)
        examples[:] = serialized
        return self.run(signature, {SERIALIZED_EXAMPLES: examples})

    def close(self) -> None:
        """Frees the tables; requests must have ended."""
        self._loaded.close()

    def _check(self, expected: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> None:
        extra, missing = sorted(inputs.keys() - expected.keys()), sorted(expected.keys() - inputs.keys())
        if extra or missing:
            raise invalid_argument(f"input size does not match signature: {len(inputs)}!={len(expected)}. "
                          f"Sent extra: {extra}. Missing but required: {missing}.")
        for name, info in expected.items():
            values, dtype = inputs[name], tf.as_dtype(info.dtype)
            if values.dtype != dtype.as_numpy_dtype:
                came = "string" if values.dtype == object else values.dtype.name
                raise invalid_argument(f"input {name!r} expects {dtype.name} but {came} is provided")
            shape = [dim.size for dim in info.tensor_shape.dim]
            if not info.tensor_shape.unknown_rank and not _fits(values.shape, shape):
                raise invalid_argument(f"input {name!r} has shape {list(values.shape)}, expected "
                              f"{[None if size < 0 else size for size in shape]}")
            if values.shape and len(values) > self._limits.batch:
                raise invalid_argument(f"input {name!r} has a batch of {len(values)}, at most "
                                       f"{self._limits.batch} are taken")


def _fits(shape: tuple[int, ...], expected: list[int]) -> bool:
    return len(shape) == len(expected) and all(
        size in (-1, came) for size, came in zip(expected, shape, strict=True))
