"""Scalars for TensorBoard, which need not be installed to write them (``tf.summary.scalar`` would ask for it)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR")


class Scalars:
    """Writes scalars by the run's step into an event file, or nowhere.

    A run that is continued adds a file to the folder; TensorBoard shows them as one curve.

    Args:
      folder: where to, or None.
    """

    def __init__(self, folder: Path | None):
        self._writer = tf.summary.create_file_writer(str(folder)) if folder else tf.summary.create_noop_writer()

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Adds one point to each curve; None adds none. The points are on disk when this returns."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                if value is not None:
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=_METADATA)
        self._writer.flush()
