"""One version of a model in memory: the session loader, checked inputs, ``Session.run``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.server.errors import invalid
from tfrs_pretrain.serving.server.limits import Limits
from tfrs_pretrain.serving.session import without_deprecations

DEFAULT = "serving_default"
_CLASSES, _SCORES, _INPUTS, _OUTPUTS = "classes", "scores", "inputs", "outputs"


class LoadedModel:
    """A SavedModel that answers; may be used by several threads.

    Args:
      folder: of the version.
      limits: what a request may ask for.
    """

    def __init__(self, folder: Path, limits: Limits):
        self._limits, graph = limits, tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with without_deprecations(), graph.as_default():
            loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(folder))
        self.signatures: Mapping[str, Any] = loaded.signature_def
        self._calls: dict[tuple[str, ...], Callable[..., Any]] = {}

    def signature(self, name: str, *, method: str | None = None) -> Any:
        """The ``SignatureDef`` of a name, the default one where it is empty.

        Raises:
          Refused: there is none, or it is for another method.
        """
        name = name or DEFAULT
        if name not in self.signatures:
            raise invalid(f"serving signature name: {name!r} not found in signature def")
        found = self.signatures[name]
        expected = f"tensorflow/serving/{method}"
        if method and found.method_name != expected:
            raise invalid(f"signature {name!r} has method {found.method_name!r}, expected {expected!r}")
        return found

    def run(self, signature: Any, inputs: Mapping[str, np.ndarray], outputs: Iterable[str] = ()
            ) -> dict[str, np.ndarray]:
        """Output -> values, of all outputs or of those that are named.

        Raises:
          Refused: names, dtypes or shapes differ from the signature's, or the batch is too large.
          tf.errors.OpError: the graph refuses the values.
        """
        self._check(signature.inputs, inputs)
        wanted = list(outputs) or list(signature.outputs)
        for name in wanted:
            if name not in signature.outputs:
                raise invalid(f"output {name!r} is not one of the signature's {sorted(signature.outputs)}")
        names = sorted(signature.inputs)
        call = self._call(tuple(signature.inputs[name].name for name in names),
                          tuple(signature.outputs[name].name for name in wanted))
        return dict(zip(wanted, call(*(inputs[name] for name in names)), strict=True))

    def run_examples(self, signature: Any, serialized: list[bytes], outputs: Iterable[str]) -> dict[str, np.ndarray]:
        """The same for a signature whose input is serialized ``tf.Example``s."""
        examples = np.empty(len(serialized), object)
        examples[:] = serialized
        return self.run(signature, {_INPUTS: examples}, outputs)

    def close(self) -> None:
        """Frees the tables; requests must have ended."""
        self._session.close()

    def _call(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., Any]:
        key = (*feeds, "->", *fetches)
        if key not in self._calls:
            self._calls[key] = self._session.make_callable(list(fetches), list(feeds))
        return self._calls[key]

    def _check(self, expected: Mapping[str, Any], inputs: Mapping[str, np.ndarray]) -> None:
        extra, missing = sorted(inputs.keys() - expected.keys()), sorted(expected.keys() - inputs.keys())
        if extra or missing:
            raise invalid(f"input size does not match signature: {len(inputs)}!={len(expected)}. "
                          f"Sent extra: {extra}. Missing but required: {missing}.")
        for name, info in expected.items():
            values, dtype = inputs[name], tf.as_dtype(info.dtype)
            if values.dtype != dtype.as_numpy_dtype:
                came = "string" if values.dtype == object else values.dtype.name
                raise invalid(f"input {name!r} expects {dtype.name} but {came} is provided")
            shape = [dim.size for dim in info.tensor_shape.dim]
            if not info.tensor_shape.unknown_rank and not _fits(values.shape, shape):
                raise invalid(f"input {name!r} has shape {list(values.shape)}, expected "
                              f"{[None if size < 0 else size for size in shape]}")
            if values.shape and len(values) > self._limits.batch:
                raise invalid(f"input {name!r} has a batch of {len(values)}, at most {self._limits.batch} are taken")


def _fits(shape: tuple[int, ...], expected: list[int]) -> bool:
    return len(shape) == len(expected) and all(
        size in (-1, came) for size, came in zip(expected, shape, strict=True))
