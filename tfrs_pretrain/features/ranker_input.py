"""The two forms in which a kind reaches the ranking network: rows of an embedding table, or a normalized number."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class RowInput:
    """Rows of a table as one input of the network. Several inputs may share a column, a table or a vocabulary.

    Attributes:
      name: of the input.
      column: of the batch: int64 [batch] rows, or [batch, length] padded with -1, see ``columns.PADDING``.
      table: that contains the rows.
      vocabulary: that maps raw values to these rows.
      length: of a padded column; None: one row per impression.
      pooling: of the rows of a padded column, "mean" or "attention"; None: one row per impression.
    """

    name: str
    column: str
    table: str
    vocabulary: str
    length: int | None = None
    pooling: str | None = None

    @classmethod
    def single(cls, name: str) -> RowInput:
        """One row per impression; column, table and vocabulary have the same name."""
        return cls(name, name, name, name)


@dataclasses.dataclass(frozen=True)
class NumericStatistics:
    """Mean and standard deviation of a number over the training impressions, missing values left out.

    With ``log1p`` they are those of sign(x) log(1 + |x|).
    """

    mean: float
    std: float
    log1p: bool = False

    def normalize(self, values: tf.Tensor) -> tf.Tensor:
        """float32 [batch] in training standard deviations from the training mean; NaN (missing) becomes 0, the mean.

        A number that never varied in training has no scale: its differences stay in raw units.
        """
        import tensorflow as tf  # noqa: PLC0415

        if self.log1p:
            values = tf.sign(values) * tf.math.log1p(tf.abs(values))
        scaled = (values - self.mean) / self.scale
        return tf.where(tf.math.is_nan(values), tf.zeros_like(values), scaled)

    @property
    def scale(self) -> float:
        """Divisor of the differences from the mean."""
        return self.std or 1.0
