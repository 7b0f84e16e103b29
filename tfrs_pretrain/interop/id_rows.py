"""The rows of a table that belong to ids, without shared and free rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tfrs_pretrain.config import parse_pretraining
from tfrs_pretrain.embeddings.artifact import Embeddings

BLOCK = 1 << 16  # rows
_EPSILON = 1e-12  # of the squared length, as in tf.math.l2_normalize


@dataclasses.dataclass(frozen=True)
class IdRows:
    """Ids with their vectors and counts.

    Attributes:
      ids: Arrow array [n], int64 or string.
      counts: int64 [n], occurrences of the ids in the window from which the vocabulary was built.
      rows: int64 [n], their rows in ``matrix``.
      matrix: float32 [num_rows, dim], memory-mapped.
    """

    ids: pa.Array
    counts: np.ndarray
    rows: np.ndarray
    matrix: np.ndarray

    @classmethod
    def read(cls, embeddings: Embeddings, table: str) -> IdRows:
        """Reads a table of an artifact.

        Raises:
          UserError: there is no such table.
        """
        matrix, vocabulary = embeddings.matrix(table), embeddings.vocabulary(table)
        rows = vocabulary.id_rows
        return cls(vocabulary.ids.drop_null(), vocabulary.row_counts[rows], rows, matrix)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.matrix.shape[1])

    def vectors(self) -> np.ndarray:
        """float32 [n, dim]: a copy of all vectors."""
        vectors: np.ndarray = np.ascontiguousarray(self.matrix[self.rows])
        return vectors

    def blocks(self) -> Iterator[IdRows]:
        """Yields the ids in parts of at most ``BLOCK``, so that a large table is never in memory as a whole."""
        for start in range(0, len(self), BLOCK):
            part = slice(start, start + BLOCK)
            yield IdRows(self.ids[part], self.counts[part], self.rows[part], self.matrix)


def similarity(embeddings: Embeddings) -> str:
    """Returns how Stage I compares rows: "cosine" or "inner product"."""
    objective = parse_pretraining(embeddings.manifest["config"]["pretraining"]).objective
    return "cosine" if objective.normalize else "inner product"


def compared(vectors: np.ndarray, similarity: str) -> np.ndarray:
    """Returns vectors, float32 [n, dim], whose inner product is the similarity."""
    if similarity != "cosine":
        return vectors
    squares = np.square(vectors).sum(axis=1, keepdims=True)
    normalized: np.ndarray = vectors / np.sqrt(np.maximum(squares, np.float32(_EPSILON)))
    return normalized
