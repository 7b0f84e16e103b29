"""MEDA, multi-epoch learning with data augmentation: the network sees the data again, through tables that did not.

"non_continual": Liu et al., "Multi-Epoch Learning for Deep Click-Through Rate Prediction Models" (arXiv 2305.19531):
every epoch starts with new tables and new optimizer state for them, and keeps the dense weights.

"continual": Fan et al., "Multi-Epoch learning with Data Augmentation for Deep Click-Through Rate Prediction" (arXiv
2407.01607), the algorithm for continual learning: data arrives in chunks, and there is one group of tables for each
epoch; on every chunk each group makes one pass in turn, all with the same dense weights, so that no group sees a sample
twice. The paper leaves open which group is served; here it is the one that learnt last. Records of the ranking window
lie in random order, so a chunk is a random part of the window, not a day.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import ContinualMeda, Meda
from tfrs_pretrain.embeddings.tables import EmbeddingTable

Rows = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rounds:
    """How a run goes through its training data: rounds of equally many steps, counted from 1.

    Attributes:
      count: rounds; an epoch each, where the data does not arrive in chunks.
      steps: in a round.
      groups: passes over a chunk before the next one comes; 0: no chunks.
    """

    count: int
    steps: int
    groups: int = 0

    @classmethod
    def of(cls, meda: Meda | None, epochs: int, steps: int) -> Rounds:
        """Of ``epochs`` passes over data of ``steps`` batches; batches that fill no chunk are left out."""
        if not isinstance(meda, ContinualMeda):
            return cls(epochs, steps)
        return cls(epochs * meda.chunks, steps // meda.chunks, epochs)

    @property
    def per_pass(self) -> int:
        """Rounds in one pass over the data."""
        return self.count // self.groups if self.groups else 1

    def data(self, number: int) -> tuple[int, int]:
        """Which order of the data a round reads (an epoch's, from 0), and from which batch."""
        if not self.groups:
            return number - 1, 0
        return 0, (number - 1) // self.groups * self.steps


class NewTables:
    """Non-continual: new rows at the start of every epoch but the first.

    Args:
      tables: of the ranker.
      rows_of: new rows of every table, float32 [rows, dim], from the number of an epoch.
    """

    def __init__(self, tables: Mapping[str, EmbeddingTable], rows_of: Callable[[int], Rows]):
        self._tables, self._rows_of = tables, rows_of

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """What a resumed run needs beside the tables."""
        return ()

    def begin_epoch(self, epoch: int) -> None:
        """Call it outside of replicas, before the first step of an epoch, counted from 1."""
        if epoch > 1:
            rows = self._rows_of(epoch)
            for name, table in self._tables.items():
                table.reset(rows[name])


class TableGroups:
    """Continual: groups of tables that take turns, a round each. Make it inside the strategy's scope.

    The group whose turn it is lies in the ranker's own tables, the others are parked, with their optimizer state.

    Args:
      tables: of the ranker, the first group.
      rows_of: rows at which each group starts, from its number; the first is 1.
      groups: their number, at least 2.
    """

    def __init__(self, tables: Mapping[str, EmbeddingTable], rows_of: Callable[[int], Rows], groups: int):
        self._tables = tables
        self._parked = []
        for group in range(2, groups + 1):
            rows = rows_of(group)
            self._parked.append({name: EmbeddingTable(f"{name}_group_{group}", rows[name], table.optimizer)
                                 for name, table in tables.items()})

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """The parked groups."""
        return tuple(variable for group in self._parked for table in group.values() for variable in table.variables)

    def begin_epoch(self, number: int) -> None:
        """Call it outside of replicas, before the first step of a round, counted from 1."""
        if number == 1:
            return
        # The turns are cyclic, so the group that is next was parked longest: these places are cyclic too.
        for name, parked in self._parked[(number - 2) % len(self._parked)].items():
            _swap(self._tables[name], parked)


def _swap(one: EmbeddingTable, other: EmbeddingTable) -> None:
    for first, second in zip(one.variables, other.variables, strict=True):
        value = tf.identity(first)
        first.assign(second)
        second.assign(value)


def make_meda(config: Meda | None, tables: Mapping[str, EmbeddingTable], rows_of: Callable[[int], Rows], *,
              epochs: int) -> NewTables | TableGroups | None:
    """What the configuration asks for; None where it asks for nothing."""
    if config is None:
        return None
    return TableGroups(tables, rows_of, epochs) if isinstance(config, ContinualMeda) else NewTables(tables, rows_of)
