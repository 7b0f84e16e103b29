"""Runs a SavedModel as TensorFlow Serving does: with the session loader, and calls on a signature's tensors.

``tf.saved_model.load`` is no substitute: it also loads models whose variables the server does not find.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.quiet import quiet_tensorflow


class LoadedModel:
    """A SavedModel in its own session; thread-safe.

    Args:
      model: folder of the SavedModel.

    Attributes:
      signatures: ``SignatureDef`` by name.

    Raises:
      UserError: the model does not load.
    """

    def __init__(self, model: Path):
        self.folder = model
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with quiet_tensorflow(), self._session.graph.as_default(), self._session.as_default():
                graph = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(model))
        except (tf.errors.OpError, OSError, KeyError) as error:
            self._session.close()
            raise self._user_error(error) from error
        # Names that begin with "__" belong to the loader, such as the operation that fills the lookups.
        self.signatures = {name: spec for name, spec in graph.signature_def.items() if not name.startswith("__")}
        self._calls: dict[str, Callable[..., list[np.ndarray]]] = {}
        self._preparing = threading.Lock()

    def _callable(self, signature: str) -> Callable[..., list[np.ndarray]]:
        with self._preparing:
            if signature not in self._calls:
                tensors = self.signatures[signature]
                options = config_pb2.CallableOptions(feed=[info.name for info in tensors.inputs.values()],
                                                     fetch=[info.name for info in tensors.outputs.values()])
                # As the server calls it. Session.run would reject other shapes itself, before the graph checks them.
                self._calls[signature] = self._session._make_callable_from_options(options)
            return self._calls[signature]

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
          signature: name of the signature.
          inputs: input name -> values.

        Returns:
          Output name -> values.

        Raises:
          UserError: there is no such signature, or it has other inputs.
          tf.errors.OpError: the graph fails, for example InvalidArgumentError for inputs of other shapes or dtypes.
        """
        if signature not in self.signatures:
            raise UserError(f"{str(self.folder)!r} has no signature {signature!r}, only {sorted(self.signatures)}")
        tensors = self.signatures[signature]
        if set(tensors.inputs) != set(inputs):
            raise UserError(f"signature {signature!r} of {str(self.folder)!r} takes {sorted(tensors.inputs)}, got "
                            f"{sorted(inputs)}: export it again with this schema")
        try:
            outputs = self._callable(signature)(*(np.asarray(inputs[name]) for name in tensors.inputs))
        except UnicodeDecodeError as error:
            # TensorFlow's error message quotes bytes of the request that are not UTF-8.
            raise tf.errors.InvalidArgumentError(None, None, str(error.object, "utf-8", "replace")) from error
        # The session returns a single string as bytes.
        arrays = (np.asarray(values, object if isinstance(values, bytes) else None) for values in outputs)
        return dict(zip(tensors.outputs, arrays, strict=True))

    def answer(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature with valid inputs; see ``run``.

        Raises:
          UserError: the call fails.
        """
        try:
            return self.run(signature, inputs)
        except tf.errors.OpError as error:
            raise self._user_error(error) from error

    def close(self) -> None:
        """Closes the session."""
        self._calls.clear()  # callables reference the session
        self._session.close()

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()

    def _user_error(self, error: BaseException) -> UserError:
        return UserError(f"exported model {str(self.folder)!r} does not run in the session loader that TF Serving uses "
                         f"({' '.join(str(error).split())[:300]})")
