"""A fixed sample of impressions that is scored repeatedly while a ranker trains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import checked_reading, evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.log_loss import log_loss, negative_log_likelihoods
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.schema import ITEM_ROW, LABEL, USER_ID, USER_ROW, WEIGHT

BATCH_SIZE = 8192


class HeldOutSample:
    """The first impressions of a split that have a main label, parsed once.

    The files of a dataset are in random order.

    Args:
      dataset: the dataset that the ranker trains on.
      split: such as "impressions/validation".
      max_impressions: size of the sample, rounded up to whole batches.

    Attributes:
      labels: float32 [n] of 0 and 1.
      users: int [n] user numbers from 0.
      table_rows: ID space -> int64 [n], the table row of each impression's id.

    Raises:
      UserError: the split is empty or damaged, or no impression of the sample has a main label.
    """

    def __init__(self, dataset: Dataset, split: str, max_impressions: int):
        batches = evaluation_batches(dataset, split, batch_size=BATCH_SIZE).take(-(-max_impressions // BATCH_SIZE))
        with checked_reading(dataset, split):
            self._batches = list(batches)
        if not self._batches:
            raise UserError(f"dataset {str(dataset.folder)!r} has no impressions in {split}: widen its window")
        self._labelled = ~np.isnan(np.concatenate([batch[LABEL].numpy() for batch in self._batches]))
        if not self._labelled.any():
            raise UserError(f"the first {len(self._labelled):,} impressions of {split} in {str(dataset.folder)!r} have "
                            f"no label {dataset.schema.label!r}: correct schema.optional_labels, or widen the window")
        self.labels = self._column(LABEL)
        self._weights = self._column(WEIGHT).astype(np.float64) if dataset.schema.has_weights else None
        self.users = pd.factorize(self._column(USER_ID))[0]
        self.table_rows = {space: self._column(space) for space in (USER_ROW, ITEM_ROW)}

    def losses(self, ranker: Ranker) -> tuple[np.ndarray, float | None]:
        """Score the sample; each impression counts once.

        Returns:
          float64 [n], the negative log-likelihood of each impression in nats, and the AUC, None if undefined.
        """
        scores = self._scores(ranker)
        return negative_log_likelihoods(self.labels, scores), auc(self.labels, scores)

    def weighted_metrics(self, ranker: Ranker) -> tuple[float | None, float | None]:
        """Return the log loss in nats and the AUC, with the weights of the impressions; None if undefined."""
        scores = self._scores(ranker)
        return log_loss(self.labels, scores, self._weights), auc(self.labels, scores, self._weights)

    def _scores(self, ranker: Ranker) -> np.ndarray:
        scores = np.concatenate([ranker.score(batch).numpy()[:, 0] for batch in self._batches])
        labelled: np.ndarray = scores[self._labelled]
        return labelled

    def counts(self, training: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Look up ``training_counts``: ID space -> int64 [n], training impressions of each impression's id."""
        return {space: training[space][rows] for space, rows in self.table_rows.items()}

    def _column(self, name: str) -> np.ndarray:
        column: np.ndarray = np.concatenate([batch[name].numpy() for batch in self._batches])[self._labelled]
        return column


def training_counts(dataset: Dataset) -> dict[str, np.ndarray]:
    """Count the training impressions of each table row: ID space -> int64 [table rows].

    Raises:
      UserError: a shard is damaged.
    """
    spaces = (USER_ROW, ITEM_ROW)
    batches = evaluation_batches(dataset, "impressions/train", batch_size=BATCH_SIZE, columns=spaces)
    with checked_reading(dataset, "impressions/train"):
        counts = {space: np.zeros(dataset.num_rows(space), np.int64) for space in spaces}
        for batch in batches.as_numpy_iterator():
            for space in spaces:
                np.add.at(counts[space], batch[space], 1)
    return counts
