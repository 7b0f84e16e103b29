"""Runs a SavedModel as TensorFlow Serving does: the session loader, then calls on a signature's tensors.

``tf.saved_model.load`` is no substitute: it also loads models whose variables the server does not find.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from tfrs_pretrain.errors import UserError


class LoadedModel:
    """A SavedModel in a session of its own; several threads may call it.

    Args:
      model: folder of the SavedModel.

    Attributes:
      signatures: ``SignatureDef`` by name.

    Raises:
      UserError: it does not load.
    """

    def __init__(self, model: Path):
        self.folder = model
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with _without_deprecations(), self._session.graph.as_default(), self._session.as_default():
                graph = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(model))
        except (tf.errors.OpError, OSError, KeyError) as error:
            self._session.close()
            raise self._refused(error) from error
        # One of them names the operation that fills the lookups, and is none to call.
        self.signatures = {name: of for name, of in graph.signature_def.items() if not name.startswith("__")}
        self._calls: dict[str, Callable[..., list[np.ndarray]]] = {}
        self._preparing = threading.Lock()

    def _callable(self, signature: str) -> Callable[..., list[np.ndarray]]:
        with self._preparing:
            if signature not in self._calls:
                tensors = self.signatures[signature]
                options = config_pb2.CallableOptions(feed=[of.name for of in tensors.inputs.values()],
                                                     fetch=[of.name for of in tensors.outputs.values()])
                # As the server calls it. Session.run would refuse other shapes itself, before the graph sees them.
                self._calls[signature] = self._session._make_callable_from_options(options)
            return self._calls[signature]

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of a signature by name.

        Args:
          signature: its name.
          inputs: input name -> values.

        Raises:
          UserError: there is no such signature, or it has other inputs.
          tf.errors.OpError: what the graph answers, such as InvalidArgumentError to inputs of other shapes or types.
        """
        if signature not in self.signatures:
            raise UserError(f"{str(self.folder)!r} has no signature {signature!r}, only {sorted(self.signatures)}")
        tensors = self.signatures[signature]
        if set(tensors.inputs) != set(inputs):
            raise UserError(f"signature {signature!r} of {str(self.folder)!r} takes {sorted(tensors.inputs)}, got "
                            f"{sorted(inputs)}: export it again with this schema")
        try:
            found = self._callable(signature)(*(np.asarray(inputs[name]) for name in tensors.inputs))
        except UnicodeDecodeError as error:
            # TensorFlow's refusal quotes bytes of the request that are no text.
            raise tf.errors.InvalidArgumentError(None, None, str(error.object, "utf-8", "replace")) from error
        return dict(zip(tensors.outputs, found, strict=True))

    def answer(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As ``run``, of inputs that it should answer.

        Raises:
          UserError: it does not.
        """
        try:
            return self.run(signature, inputs)
        except tf.errors.OpError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Frees what it holds."""
        self._calls.clear()  # they hold the session
        self._session.close()

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()

    def _refused(self, error: BaseException) -> UserError:
        return UserError(f"exported model {str(self.folder)!r} does not run in the session loader that TF Serving uses "
                         f"({' '.join(str(error).split())[:300]})")


def run_signature(model: Path, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of a signature of a model, loaded in a fresh session.

    Raises:
      UserError: the model does not load or answer, or has other inputs.
    """
    with LoadedModel(model) as loaded:
        return loaded.answer(signature, inputs)


@contextlib.contextmanager
def _without_deprecations() -> Iterator[None]:
    """TensorFlow advises against the session loader, but it is what the server runs."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
