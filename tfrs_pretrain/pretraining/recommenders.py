"""TensorFlow Recommenders on Keras 2, whichever Keras ``tf.keras`` is in this process.

TFRS derives its classes from ``tf.keras`` while it is imported, and refuses Keras 3. ``tf.keras`` is Keras 3 unless the
environment variable ``TF_USE_LEGACY_KERAS`` was 1 when TensorFlow was imported. Stage I needs only TFRS's classes, so
``tf.keras`` is Keras 2 for the duration of this one import; no environment variable is set, and the process keeps the
``tf.keras`` that it had.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator

import tensorflow as tf

__all__ = ["keras_2", "tfrs"]


@contextlib.contextmanager
def keras_2() -> Iterator[None]:
    """Makes ``tf.keras`` Keras 2 inside the block, for all threads, and restores it afterwards."""
    before = vars(tf)["keras"]  # not getattr, which would import the Keras behind a lazy loader
    tf.keras = importlib.import_module("tf_keras.api._v2.keras")
    try:
        yield
    finally:
        tf.keras = before


with keras_2():
    import tensorflow_recommenders as tfrs
