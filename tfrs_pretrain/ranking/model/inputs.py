"""Columns of a batch that a ranker reads."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.features.ranker_input import NumericStatistics, RowInput


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Inputs of a ranker.

    Attributes:
      rows: inputs gathered from tables: the ID spaces, the features of one row, then the inputs of several rows.
      numeric: numeric feature -> its training statistics.
      similarity: similarity features of the user and item rows, any of "dot", "cosine" and "norms".
    """

    rows: tuple[RowInput, ...]
    numeric: dict[str, NumericStatistics]
    similarity: tuple[str, ...]

    @property
    def tables(self) -> dict[str, str]:
        """Table -> the vocabulary whose ids its rows represent."""
        return {row.table: row.vocabulary for row in self.rows}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read from a batch, without repetitions."""
        return tuple(dict.fromkeys((*(row.column for row in self.rows), *self.numeric)))

    @property
    def attention(self) -> tuple[str, ...]:
        """Names of the inputs that are pooled by attention."""
        return tuple(row.name for row in self.rows if row.pooling == "attention")

    @classmethod
    def of(cls, dataset: Dataset, config: RankingConfig, *, privileged: bool) -> Inputs:
        """Create the configured inputs; ``privileged`` includes features that are not available in serving."""
        inputs = {name: kind.ranker_input(config, dataset.moments) for name, kind in dataset.schema.inputs.items()
                  if privileged or not kind.privileged}
        rows = [found for found in inputs.values() if isinstance(found, RowInput)]
        numeric = {name: found for name, found in inputs.items() if isinstance(found, NumericStatistics)}
        return cls(tuple(sorted(rows, key=lambda row: row.length is not None)), numeric, config.similarity)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Inputs:
        """Inverse of ``dataclasses.asdict`` and JSON."""
        return cls(tuple(RowInput(**row) for row in content["rows"]),
                   {name: NumericStatistics(**values) for name, values in content["numeric"].items()},
                   tuple(content["similarity"]))
