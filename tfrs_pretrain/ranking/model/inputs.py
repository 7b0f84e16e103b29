"""Columns of a batch that a ranker reads."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.features.ranker_input import NumericStatistics, RowInput


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Columns of a ranker.

    Attributes:
      rows: the ID spaces, the features of one row, then the inputs of several rows.
      numeric: numeric feature -> its training statistics.
      similarity: of the user and item rows: "dot", "cosine", "norms", as many as wanted.
    """

    rows: tuple[RowInput, ...]
    numeric: dict[str, NumericStatistics]
    similarity: tuple[str, ...]

    @property
    def tables(self) -> dict[str, str]:
        """Table -> the vocabulary that its rows belong to."""
        return {row.table: row.vocabulary for row in self.rows}

    @property
    def columns(self) -> tuple[str, ...]:
        """Everything that is read from a batch, each once."""
        return tuple(dict.fromkeys((*(row.column for row in self.rows), *self.numeric)))

    @property
    def attention(self) -> tuple[str, ...]:
        """Names of the inputs that are pooled by attention."""
        return tuple(row.name for row in self.rows if row.pooling == "attention")

    @classmethod
    def of(cls, dataset: Dataset, config: RankingConfig, *, privileged: bool) -> Inputs:
        """Inputs of a ranker on this dataset; privileged features only for a teacher."""
        inputs = {name: kind.ranker_input(config, dataset.moments) for name, kind in dataset.schema.inputs.items()
                  if privileged or not kind.privileged}
        rows = [found for found in inputs.values() if isinstance(found, RowInput)]
        numeric = {name: found for name, found in inputs.items() if isinstance(found, NumericStatistics)}
        return cls(tuple(sorted(rows, key=lambda row: row.length is not None)), numeric, config.similarity)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Inputs:
        """The inverse of ``dataclasses.asdict``, through JSON."""
        return cls(tuple(RowInput(**row) for row in content["rows"]),
                   {name: NumericStatistics(**values) for name, values in content["numeric"].items()},
                   tuple(content["similarity"]))
