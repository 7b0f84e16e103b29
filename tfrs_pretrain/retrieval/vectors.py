"""Stage I embeddings as vectors whose inner product ranks items as the Stage I logits do."""

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
    """The numpy equivalent of ``TwoTower.query_vectors`` and ``candidate_vectors``.

    Vectors are L2-normalized if Stage I normalizes. A popularity prior is one more dimension, multiplied by the
    temperature that divides the logits.

    Args:
      embeddings: pretrained embeddings.
      dataset: dataset of the pretraining; required only with a popularity prior.

    Raises:
      UserError: the embeddings have a popularity prior, and the dataset is missing or another one.
    """

    def __init__(self, embeddings: Embeddings, dataset: Dataset | None = None):
        self._embeddings = embeddings
        manifest = embeddings.manifest
        objective = parse_pretraining(manifest["config"]["pretraining"]).objective
        self.normalized, self.prior = objective.normalize, objective.popularity_prior
        self._prior_column: np.ndarray | None = None
        if self.prior:
            share = np.log(_pretraining_dataset(embeddings, dataset).sampling_probability)
            self._prior_column = (manifest["temperature"] * self.prior * share).astype(np.float32)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._embeddings.manifest["tables"]["item"]["shape"][1]) + bool(self.prior)

    def users(self, rows: np.ndarray) -> np.ndarray:
        """Vectors, float32 [n, dim], of rows of the user table, int64 [n]."""
        vectors = self._vectors("user", rows)
        return np.pad(vectors, [(0, 0), (0, 1)], constant_values=1.0) if self.prior else vectors

    def items(self, rows: np.ndarray) -> np.ndarray:
        """Vectors, float32 [n, dim], of rows of the item table, int64 [n]."""
        vectors = self._vectors("item", rows)
        if self._prior_column is None:
            return vectors
        return np.concatenate([vectors, self._prior_column[rows, None]], axis=1)

    def _vectors(self, table: str, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.asarray(self._embeddings.matrix(table)[rows], np.float32)
        if not self.normalized:
            return found
        squares = np.square(found).sum(axis=1, keepdims=True)
        normalized: np.ndarray = found / np.sqrt(np.maximum(squares, _EPSILON))
        return normalized


def _pretraining_dataset(embeddings: Embeddings, dataset: Dataset | None) -> Dataset:
    """Checks that the embeddings were trained on the dataset, and returns it."""
    reason = f"embeddings {str(embeddings.folder)!r} have a popularity prior, which is part of their score"
    if dataset is None:
        raise UserError(f"{reason}: name their dataset with --dataset")
    expected, found = embeddings.manifest["dataset_info_digest"], file_digest(dataset.folder / DATASET_INFO)
    if expected != found:
        raise UserError(f"{reason}, and dataset {str(dataset.folder)!r} is not the one that they were trained on "
                        f"(digest {found[:12]}, expected {expected[:12]}): name that one")
    return dataset
