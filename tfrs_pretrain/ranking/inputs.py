"""Which columns of a batch a ranker reads, and how numeric values are normalised: one code for training and serving."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset, NumericStatistics
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Columns of a ranker.

    Attributes:
      tables: columns of rows, each with a table of that name: the ID spaces, then the categorical features.
      numeric: numeric feature -> its training statistics.
      similarity: of the user and item rows: "none", "dot" or "cosine".
    """

    tables: tuple[str, ...]
    numeric: dict[str, NumericStatistics]
    similarity: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Everything that is read from a batch."""
        return (*self.tables, *self.numeric)

    @classmethod
    def of(cls, dataset: Dataset, *, similarity: str, privileged: bool) -> Inputs:
        """Inputs of a ranker on this dataset; privileged features only for a teacher."""
        categorical = dataset.schema.of_kind("categorical", privileged=privileged)
        numeric = dataset.schema.of_kind("numeric", privileged=privileged)
        return cls((USER_ROW, ITEM_ROW, *(feature.name for feature in categorical)),
                   {feature.name: dataset.numeric(feature.name) for feature in numeric}, similarity)


def normalized(values: tf.Tensor, statistics: NumericStatistics) -> tf.Tensor:
    """float32 [batch] in training standard deviations from the training mean; NaN (missing) becomes 0, the mean.

    A feature that never varied in training has no scale: its differences stay in raw units.
    """
    scaled = (values - statistics.mean) / (statistics.std or 1.0)
    return tf.where(tf.math.is_nan(values), tf.zeros_like(values), scaled)
