"""Raw values scored as in training, by the Beam jobs' vocabularies and the trained ranker, not by the served graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.model.ranker import Ranker, score_names


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
        """Output -> float32 [n] of raw inputs [n] and lists [n, any length], see ``raw_inputs``."""
        kinds = [self.schema.inputs[name] for name in self.ranker.inputs.columns]
        batch = {kind.name: kind.batch_column(raw[kind.raw_name], self._rows) for kind in kinds}
        return dict(zip(score_names(self.ranker.labels), self.ranker.score(batch).numpy().T, strict=True))

    def embeddings(self, space: str, ids: np.ndarray) -> np.ndarray:
        """float32 [n, dim] of the raw ids [n] of "user" or "item"."""
        return self.ranker.tables[space].numpy()[self.schema.inputs[space].batch_column(ids, self._rows)]

    def _rows(self, vocabulary: str, values: pa.Array) -> np.ndarray:
        return self._vocabularies[vocabulary].lookup(values)
