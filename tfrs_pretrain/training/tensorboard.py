"""TensorBoard scalars, written without the tensorboard package (``tf.summary.scalar`` requires it)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR")


class ScalarWriter:
    """Writes scalars by step into an event file.

    A resumed run adds a file to the folder; TensorBoard shows all files of a folder as one curve.

    Args:
      folder: where to write; None writes nothing.
      observer: receives the same points.
    """

    def __init__(self, folder: Path | None, observer: Callable[[int, Mapping[str, float | None]], None] | None = None):
        self._observer = observer
        self._writer = tf.summary.create_file_writer(str(folder)) if folder else tf.summary.create_noop_writer()

    def write(self, step: int, scalars: Mapping[str, float | None]) -> None:
        """Add one point to each curve, none for None, and flush to disk.

        Args:
          step: steps of the whole run so far.
          scalars: curve name -> value.
        """
        with self._writer.as_default(step=step):
            for name, value in scalars.items():
                if value is not None:
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=_METADATA)
        self._writer.flush()
        if self._observer:
            self._observer(step, scalars)
