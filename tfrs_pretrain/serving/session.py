"""Runs a SavedModel as TensorFlow Serving does: the session loader, then ``Session.run`` on a signature's tensors.

``tf.saved_model.load`` is no substitute: it also loads models whose variables the server does not find.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_pretrain.errors import UserError


def run_signature(model: Path, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of a signature, loaded in a fresh session.

    Args:
      model: folder of the SavedModel.
      signature: its name.
      inputs: input name -> values, exactly those that the signature has.

    Raises:
      UserError: the model does not load, or has other inputs.
    """
    try:
        with without_deprecations(), tf.Graph().as_default(), tf.compat.v1.Session() as session:
            graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(model))
            tensors = graph.signature_def[signature]
            if set(tensors.inputs) != set(inputs):
                raise UserError(f"signature {signature!r} of {str(model)!r} takes {sorted(tensors.inputs)}, got "
                                f"{sorted(inputs)}: export it again with this schema")
            feed = {tensors.inputs[name].name: values for name, values in inputs.items()}
            names = {name: tensor.name for name, tensor in tensors.outputs.items()}
            return dict(session.run(names, feed))
    except (tf.errors.OpError, OSError, KeyError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"exported model {str(model)!r} does not run in the session loader that TF Serving uses "
                        f"({text[:300]})") from error


@contextlib.contextmanager
def without_deprecations() -> Iterator[None]:
    """TensorFlow advises against the session loader, but it is what the server runs."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
