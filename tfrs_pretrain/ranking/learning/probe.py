"""Held-out impressions that are looked at while a ranker trains: the same ones at every look of every run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.log_loss import negative_log_likelihoods
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.schema import ITEM_ROW, LABEL, USER_ID, USER_ROW

BATCH_SIZE = 8192


class Probe:
    """The first impressions of a split, parsed once; a dataset's files hold them in no order.

    Args:
      dataset: what the ranker learns from.
      split: such as "impressions/validation".
      most: impressions to follow, rounded up to whole batches.

    Attributes:
      labels: float32 [n].
      users: int [n] from 0.
      rows: ID space -> int64 [n], the row of each impression's id.

    Raises:
      UserError: the split is empty.
    """

    def __init__(self, dataset: Dataset, split: str, most: int):
        batches = evaluation_batches(dataset, split, batch_size=BATCH_SIZE).take(-(-most // BATCH_SIZE))
        self._batches = list(batches)
        if not self._batches:
            raise UserError(f"dataset {str(dataset.folder)!r} has no impressions in {split}: widen its window")
        self.labels = self._column(LABEL)
        self.users = pd.factorize(self._column(USER_ID))[0]
        self.rows = {space: self._column(space) for space in (USER_ROW, ITEM_ROW)}

    def losses(self, ranker: Ranker) -> tuple[np.ndarray, float | None]:
        """float64 [n] negative log-likelihood of each impression in nats, and their AUC."""
        scores = np.concatenate([ranker.score(batch).numpy()[:, 0] for batch in self._batches])
        return negative_log_likelihoods(self.labels, scores), auc(self.labels, scores)

    def counts(self, training: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """ID space -> int64 [n]: training impressions of each impression's id, see ``training_counts``."""
        return {space: training[space][rows] for space, rows in self.rows.items()}

    def _column(self, name: str) -> np.ndarray:
        return np.concatenate([batch[name].numpy() for batch in self._batches])


def training_counts(dataset: Dataset) -> dict[str, np.ndarray]:
    """ID space -> int64 [rows]: how many training impressions have an id of this row."""
    spaces = (USER_ROW, ITEM_ROW)
    batches = evaluation_batches(dataset, "impressions/train", batch_size=BATCH_SIZE, columns=spaces)
    counted = [{space: np.bincount(batch[space], minlength=dataset.rows(space)) for space in spaces}
               for batch in batches.as_numpy_iterator()]
    return {space: np.sum([counts[space] for counts in counted], axis=0) for space in spaces}
