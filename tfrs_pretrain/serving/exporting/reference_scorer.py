"""Reference scores of raw values: computed by the Beam jobs' code and the trained ranker, not by the served graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.model.ranker import Ranker, score_names


class ReferenceScorer:
    """Scores raw values as in training.

    Args:
      ranker: trained ranker, with the tables to serve.
      dataset: dataset on which it was trained, for schema and vocabularies.
    """

    def __init__(self, ranker: Ranker, dataset: Dataset):
        self.ranker, self.schema = ranker, dataset.schema
        self._vocabularies = {name: dataset.vocabulary(name) for name in set(ranker.inputs.tables.values())}

    def scores(self, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns scores, output name -> float32 [n].

        Args:
          raw: input name -> raw values [n], or lists [n, any length].
        """
        kinds = [self.schema.inputs[name] for name in self.ranker.inputs.columns]
        batch = {kind.name: kind.batch_column(raw[kind.raw_name], self._lookup) for kind in kinds}
        return dict(zip(score_names(self.ranker.labels), self.ranker.score(batch).numpy().T, strict=True))

    def embeddings(self, space: str, ids: np.ndarray) -> np.ndarray:
        """Returns float32 [n, dim], the embeddings of raw ids [n].

        Args:
          space: "user" or "item".
          ids: raw ids.
        """
        return np.asarray(self.ranker.tables[space].numpy()[self.schema.inputs[space].batch_column(ids, self._lookup)])

    def _lookup(self, vocabulary: str, values: pa.Array) -> np.ndarray:
        return self._vocabularies[vocabulary].lookup(values)
