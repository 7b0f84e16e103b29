"""Raw values scored as in training, by the Beam jobs' vocabularies and the trained ranker, not by the served graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.model.ranker import Ranker, score_names
from tfrs_pretrain.schema import PADDING
from tfrs_pretrain.serving.graph.inputs import is_latest, raw_name
from tfrs_pretrain.vocabulary import ARROW_TYPES, MISSING, Vocabulary


class ReferenceScorer:
    """A ranker with the vocabularies of the dataset that it was trained on.

    Args:
      ranker: the trained student, with the rows that are served.
      dataset: its schema and vocabularies.
    """

    def __init__(self, ranker: Ranker, dataset: Dataset):
        self.ranker, self.schema = ranker, dataset.schema
        self._vocabularies = {name: dataset.vocabulary(name) for name in set(ranker.inputs.tables.values())}

    def scores(self, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Output -> float32 [n] of raw inputs [n] and lists [n, any length], see ``inputs.raw_inputs``."""
        batch = {name: np.where(np.isfinite(raw[name]), raw[name], np.nan).astype(np.float32)
                 for name in self.ranker.inputs.numeric}
        for row in self.ranker.inputs.rows:
            values, vocabulary = raw[raw_name(row.column)], self._vocabularies[row.vocabulary]
            batch[row.column] = _rows(values, vocabulary) if row.length is None else _padded_rows(
                values, vocabulary, row.length, latest=is_latest(raw_name(row.column)))
        return dict(zip(score_names(self.ranker.labels), self.ranker.score(batch).numpy().T, strict=True))

    def embeddings(self, space: str, ids: np.ndarray) -> np.ndarray:
        """float32 [n, dim] of the raw ids [n] of "user" or "item"."""
        return self.ranker.tables[space].numpy()[_rows(ids, self._vocabularies[space])]


def _rows(values: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    return vocabulary.rows(pa.array(values.tolist(), ARROW_TYPES[vocabulary.dtype]))


def _padded_rows(lists: np.ndarray, vocabulary: Vocabulary, length: int, *, latest: bool) -> np.ndarray:
    """int64 [n, length]: rows of the latest or first values that are not missing, then padding."""
    padded = np.full((len(lists), length), PADDING)
    for place, values in enumerate(lists):
        present = values[values != MISSING[vocabulary.dtype]]
        present = present[-length:] if latest else present[:length]
        padded[place, :len(present)] = _rows(present, vocabulary)
    return padded
