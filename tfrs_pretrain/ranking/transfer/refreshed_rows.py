"""Combine the rows of an earlier ranker with rows that Stage I has trained further since.

A ranker that starts from an earlier one has fine-tuned rows ``r = e + d``: the pretrained row ``e`` that it started
from, and what its own training added, ``d``. Stage I that started from ``e`` and was trained on newer engagements has
the row ``e'`` in the same space. The refreshed row is ``e' + d = r + (e' - e)``: neither the newer engagements nor the
fine-tuning is lost, and the network keeps rows like those that it was trained on. A frozen row, where ``d = 0``,
becomes ``e'``. An id whose row Stage I has trained for the first time starts as the arm says.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary_changes import RowMap


@dataclasses.dataclass(frozen=True)
class Refresh:
    """Newer pretrained rows for a ranker that started from earlier ones.

    Attributes:
      earlier: embeddings that the earlier ranker started from, or was last refreshed with.
      newer: embeddings that started from these.
    """

    earlier: Embeddings
    newer: Embeddings

    @classmethod
    def open(cls, earlier: Path | None, newer: Embeddings | None) -> Refresh | None:
        """Open the earlier embeddings; None if one of both is not given."""
        return cls(Embeddings.open(earlier), newer) if earlier and newer else None

    def apply(self, table: np.ndarray, fresh: np.ndarray, space: str, dataset: Dataset, factor: float = 1.0) -> None:
        """Change the rows of one ID space in place.

        Args:
          table: float32 [num_rows, dim], the rows of the earlier ranker at the rows of the dataset.
          fresh: float32 [num_rows, dim], the rows as they start without an earlier ranker.
          space: name of the ID space.
          dataset: the dataset to train on.
          factor: of the change, that by which the arm scales pretrained rows.

        Raises:
          UserError: the embeddings have other widths.
        """
        before, after = self.earlier.matrix(space), self.newer.matrix(space)
        if before.shape[1] != after.shape[1]:
            raise UserError(f"embeddings {str(self.earlier.folder)!r} and {str(self.newer.folder)!r} have {space} rows "
                            f"of {before.shape[1]} and {after.shape[1]} columns: refresh with rows that started from "
                            "the earlier ones")
        vocabulary = dataset.vocabulary(space)
        row_map = RowMap.between(self.earlier.vocabulary(space), vocabulary)
        trained = _trained(self.newer, space)
        was_trained = np.zeros(vocabulary.num_rows, bool)
        was_trained[row_map.target] = _trained(self.earlier, space)[row_map.source]
        moved = trained[row_map.target] & was_trained[row_map.target]
        source, target = row_map.source[moved], row_map.target[moved]
        table[target] += np.float32(factor) * (after[target] - before[source])
        first = trained & ~was_trained
        table[first] = fresh[first]


def _trained(embeddings: Embeddings, space: str) -> np.ndarray:
    """Return bool [num_rows]: rows of one id that Stage I has trained."""
    vocabulary, trained = embeddings.vocabulary(space), embeddings.trained_rows(space)
    if trained is None:
        return vocabulary.occurring
    rows = np.zeros(vocabulary.num_rows, bool)
    rows[vocabulary.id_rows] = trained[vocabulary.id_rows]
    return rows
