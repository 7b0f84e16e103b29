"""Regularization of fine-tuned rows towards the pretrained rows.

L2-SP of Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks" (ICML
2018, arXiv 1802.01483): half the squared distance to the starting point. Here the distance is that of the rows in the
batch, so its cost does not grow with the table, and a row is regularized as often as it is trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import ArmConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.embeddings.placement import REPLICATED, Placement
from tfrs_pretrain.ranking.transfer.pretrained_rows import is_pretrained
from tfrs_pretrain.row_arrays import Rows


class Anchor(tf.Module):
    """L2 regularizer towards the initial rows; create it inside the strategy's scope.

    It has a second copy of the rows in memory, which is not part of a checkpoint.

    Args:
      weight: of the term in the loss.
      initial: table -> float32 [num_rows, dim], its initial rows.
      pretrained: table -> bool [num_rows], the rows to regularize; the others are free.
      placements: table -> placement of its rows, and of their copy here; the others are replicated.
    """

    def __init__(self, weight: float, initial: Mapping[str, Rows], pretrained: Mapping[str, np.ndarray],
                 placements: Mapping[str, Placement] | None = None):
        super().__init__(name="anchor")
        self.weight = weight
        self._placements = {name: (placements or {}).get(name, REPLICATED) for name in initial}
        self._initial = {name: self._placements[name].variable(f"{name}_anchor", rows)
                         for name, rows in initial.items()}
        self._pretrained = {name: self._placements[name].variable(f"{name}_pretrained", pretrained[name])
                            for name in initial}

    def losses(self, batch: Mapping[str, tf.Tensor], rows: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return float32 [batch], half the squared distance of an impression's rows to their initial values, weighted.

        Args:
          batch: table -> int64 [batch] ids, among others.
          rows: table -> float32 [batch, dim] rows of these ids, among others.
        """
        return self.weight * tf.add_n([self._table_losses(name, batch[name], rows[name]) for name in self._initial])

    def _table_losses(self, name: str, ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        placement = self._placements[name]
        distance = rows - placement.gather(self._initial[name], ids)
        half = 0.5 * tf.reduce_sum(tf.square(distance), axis=1)
        return tf.where(placement.gather(self._pretrained[name], ids), half, tf.zeros_like(half))


def make_anchor(arm: ArmConfig, dataset: Dataset, rows: Mapping[str, Rows],
                embeddings: Embeddings | None = None, placements: Mapping[str, Placement] | None = None
                ) -> Anchor | None:
    """Create the arm's anchor for its pretrained, trainable tables; None without one.

    Args:
      arm: provides the weight and the transferred tables.
      dataset: provides the vocabularies.
      rows: table -> float32 [num_rows, dim], its initial rows.
      embeddings: pretrained rows.
      placements: as for ``Anchor``.
    """
    if arm.anchor is None:
        return None
    tables = [name for name, transfer in arm.pretrained_tables.items() if transfer.kind != "frozen"]
    return Anchor(arm.anchor.weight, {name: rows[name] for name in tables},
                  {name: is_pretrained(dataset, name, embeddings) for name in tables}, placements)
