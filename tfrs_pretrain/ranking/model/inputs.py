"""Which columns of a batch a ranker reads, and how numeric values are normalised: one code for training and serving."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset, NumericStatistics
from tfrs_pretrain.schema import HISTORY, ITEM_ROW, USER_ROW


@dataclasses.dataclass(frozen=True)
class RowInput:
    """Rows of a table as one input of the network. Several inputs may share a column, a table or a vocabulary.

    Attributes:
      name: of the input.
      column: of the batch: int64 [batch] rows, or [batch, length] padded with -1, see ``schema.PADDING``.
      table: whose rows they are.
      vocabulary: that maps raw values to these rows.
      length: of a padded column; None: one row an impression.
      pooling: of the rows of a padded column, "mean" or "attention"; None: one row an impression.
    """

    name: str
    column: str
    table: str
    vocabulary: str
    length: int | None = None
    pooling: str | None = None

    @classmethod
    def single(cls, name: str) -> RowInput:
        """One row an impression, of a table that goes by the name of its column."""
        return cls(name, name, name, name)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Columns of a ranker.

    Attributes:
      rows: the ID spaces, then the features.
      numeric: numeric feature -> its training statistics.
      similarity: of the user and item rows: "dot", "cosine", "norms", as many as wanted.
    """

    rows: tuple[RowInput, ...]
    numeric: dict[str, NumericStatistics]
    similarity: tuple[str, ...]

    @property
    def tables(self) -> dict[str, str]:
        """Table -> the vocabulary that its rows belong to."""
        return {row.table: row.vocabulary for row in self.rows}

    @property
    def columns(self) -> tuple[str, ...]:
        """Everything that is read from a batch, each once."""
        return tuple(dict.fromkeys((*(row.column for row in self.rows), *self.numeric)))

    @property
    def attention(self) -> tuple[str, ...]:
        """Names of the inputs that are pooled by attention."""
        return tuple(row.name for row in self.rows if row.pooling == "attention")

    @classmethod
    def of(cls, dataset: Dataset, config: RankingConfig, *, privileged: bool) -> Inputs:
        """Inputs of a ranker on this dataset; privileged features only for a teacher."""
        schema = dataset.schema
        names = (USER_ROW, ITEM_ROW, *(f.name for f in schema.of_kind("categorical", privileged=privileged)))
        rows = [RowInput.single(name) for name in names]
        rows += [RowInput(f.name, f.name, f.name, f.name, f.max_values, "mean")
                 for f in schema.of_kind("multi_valued", privileged=privileged)]
        if schema.history and config.history != "none":
            rows.append(RowInput(HISTORY, HISTORY, ITEM_ROW, ITEM_ROW, schema.history.length, config.history))
        numeric = schema.of_kind("numeric", privileged=privileged)
        return cls(tuple(rows), {f.name: dataset.numeric(f.name) for f in numeric}, config.similarity)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Inputs:
        """The inverse of ``dataclasses.asdict``, through JSON."""
        return cls(tuple(RowInput(**row) for row in content["rows"]),
                   {name: NumericStatistics(**values) for name, values in content["numeric"].items()},
                   tuple(content["similarity"]))


def normalized(values: tf.Tensor, statistics: NumericStatistics) -> tf.Tensor:
    """float32 [batch] in training standard deviations from the training mean; NaN (missing) becomes 0, the mean.

    A feature that never varied in training has no scale: its differences stay in raw units.
    """
    if statistics.log1p:
        values = tf.sign(values) * tf.math.log1p(tf.abs(values))
    scaled = (values - statistics.mean) / (statistics.std or 1.0)
    return tf.where(tf.math.is_nan(values), tf.zeros_like(values), scaled)
