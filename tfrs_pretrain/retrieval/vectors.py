"""Rows of Stage I as vectors whose inner product orders items as its logits do."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.config import parse_pretraining
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError

_EPSILON = 1e-12  # of the squared length, as in tf.math.l2_normalize


class StageOneVectors:
    """The numpy twin of ``TwoTower.query_vectors`` and ``candidate_vectors``.

    Rows are L2-normalised where Stage I did so. Its popularity prior, if any, is one more column, times the temperature
    that the logits were divided by.

    Args:
      embeddings: pretrained rows.
      dataset: what they were pretrained on; only a popularity prior needs it.

    Raises:
      UserError: there is a popularity prior but no dataset, or the dataset is another one.
    """

    def __init__(self, embeddings: Embeddings, dataset: Dataset | None = None):
        self._embeddings = embeddings
        manifest = embeddings.manifest
        objective = parse_pretraining(manifest["config"]["pretraining"]).objective
        self.normalized, self.prior = objective.normalize, objective.popularity_prior
        self._prior_column: np.ndarray | None = None
        if self.prior:
            share = np.log(_pretrained_on(embeddings, dataset).sampling_probability)
            self._prior_column = (manifest["temperature"] * self.prior * share).astype(np.float32)

    @property
    def columns(self) -> int:
        """Length of a vector."""
        return int(self._embeddings.manifest["tables"]["item"]["shape"][1]) + bool(self.prior)

    def users(self, rows: np.ndarray) -> np.ndarray:
        """float32 [n, columns] of int64 [n] rows of the user table."""
        vectors = self._represented("user", rows)
        return np.pad(vectors, [(0, 0), (0, 1)], constant_values=1.0) if self.prior else vectors

    def items(self, rows: np.ndarray) -> np.ndarray:
        """float32 [n, columns] of int64 [n] rows of the item table."""
        vectors = self._represented("item", rows)
        if self._prior_column is None:
            return vectors
        return np.concatenate([vectors, self._prior_column[rows, None]], axis=1)

    def _represented(self, table: str, rows: np.ndarray) -> np.ndarray:
        found = np.asarray(self._embeddings.matrix(table)[rows], np.float32)
        if not self.normalized:
            return found
        squares = np.square(found).sum(axis=1, keepdims=True)
        return found / np.sqrt(np.maximum(squares, _EPSILON))


def _pretrained_on(embeddings: Embeddings, dataset: Dataset | None) -> Dataset:
    """The dataset, if the rows were learnt from it."""
    what = f"embeddings {str(embeddings.folder)!r} have a popularity prior, which is part of their score"
    if dataset is None:
        raise UserError(f"{what}: name their dataset with --dataset")
    expected, came = embeddings.manifest["dataset_info_digest"], file_digest(dataset.folder / DATASET_INFO)
    if expected != came:
        raise UserError(f"{what}, and dataset {str(dataset.folder)!r} is not the one that they learnt from (digest "
                        f"{came[:12]}, expected {expected[:12]}): name that one")
    return dataset
