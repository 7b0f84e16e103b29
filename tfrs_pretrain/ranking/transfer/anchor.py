"""Holds fine-tuned rows near the pretrained ones, whose geometry the contrastive loss made.

L2-SP of Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks" (ICML
2018, arXiv 1802.01483): half the squared distance to the starting point. Here it is taken of the rows of
the batch, so its cost does not grow with the table, and frequent rows are held as often as they are pulled away.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import ArmConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.replicas import local_copy
from tfrs_pretrain.ranking.transfer.tables import pretrained_rows


class Anchor(tf.Module):
    """Make it inside the strategy's scope. It costs a second copy of the rows, which no checkpoint needs.

    Args:
      weight: of the term in the loss.
      initial: table -> float32 [rows, dim], where it starts.
      held: table -> bool [rows]: rows that were pretrained; the others are free.
    """

    def __init__(self, weight: float, initial: Mapping[str, np.ndarray], held: Mapping[str, np.ndarray]):
        super().__init__(name="anchor")
        self.weight = weight
        self._initial = {name: tf.Variable(rows, trainable=False, dtype=tf.float32, name=f"{name}_anchor")
                         for name, rows in initial.items()}
        self._held = {name: tf.Variable(held[name], trainable=False, name=f"{name}_held") for name in initial}

    def losses(self, batch: Mapping[str, tf.Tensor], rows: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch]: weighted half squared distance of an impression's rows to where they started.

        Args:
          batch: table -> int64 [batch] ids, among others.
          rows: table -> float32 [batch, dim] rows of these ids, among others.
        """
        return self.weight * tf.add_n([self._of_table(name, batch[name], rows[name]) for name in self._initial])

    def _of_table(self, name: str, ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        distance = rows - tf.gather(local_copy(self._initial[name]), ids)
        half = 0.5 * tf.reduce_sum(tf.square(distance), axis=1)
        return tf.where(tf.gather(local_copy(self._held[name]), ids), half, tf.zeros_like(half))


def make_anchor(arm: ArmConfig, dataset: Dataset, rows: Mapping[str, np.ndarray]) -> Anchor | None:
    """The arm's anchor at the rows [rows, dim] that its pretrained, trainable tables start at; None if it has none."""
    if arm.anchor is None:
        return None
    tables = [name for name, transfer in arm.pretrained_tables.items() if transfer.kind != "frozen"]
    return Anchor(arm.anchor.weight, {name: rows[name] for name in tables},
                  {name: pretrained_rows(dataset, name) for name in tables})
