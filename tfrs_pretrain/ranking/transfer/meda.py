"""MEDA, multi-epoch learning with data augmentation: in each epoch the network is trained with tables new to the data.

"non_continual": Liu et al., "Multi-Epoch Learning for Deep Click-Through Rate Prediction Models" (arXiv 2305.19531):
every epoch starts with new tables and new optimizer state for them, and continues with the dense weights.

"continual": Fan et al., "Multi-Epoch learning with Data Augmentation for Deep Click-Through Rate Prediction" (arXiv
2407.01607), the algorithm for continual learning: data arrives in chunks, and there is one group of tables for each
epoch. On every chunk the groups make one pass each in turn, all with the same dense weights, so that no group sees a
sample twice. The paper does not specify which group is served; here it is the one trained last. Records of the ranking
window are in random order, so a chunk is a random part of the window, not a day.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import ContinualMeda, Meda
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.embeddings.replicas import replica_copies
from tfrs_pretrain.embeddings.tables import EmbeddingTable

Tables = Mapping[str, np.ndarray]  # table -> float32 [num_rows, dim]


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Order in which a run reads its training data: rounds of equally many steps, numbered from 1.

    Attributes:
      count: number of rounds; without chunks a round is an epoch.
      steps: steps in a round.
      groups: passes over a chunk before the next chunk; 0 without chunks.
    """

    count: int
    steps: int
    groups: int = 0

    @classmethod
    def from_config(cls, meda: Meda | None, epochs: int, steps: int) -> Rounds:
        """Plan ``epochs`` passes over data of ``steps`` batches; batches that fill no whole chunk are left out."""
        if not isinstance(meda, ContinualMeda):
            return cls(epochs, steps)
        return cls(epochs * meda.chunks, steps // meda.chunks, epochs)

    @property
    def per_pass(self) -> int:
        """Number of rounds in one pass over the data."""
        return self.count // self.groups if self.groups else 1

    def data(self, number: int) -> tuple[int, int]:
        """Return the epoch, from 0, whose shuffled order a round reads, and the round's first batch."""
        if not self.groups:
            return number - 1, 0
        return 0, (number - 1) // self.groups * self.steps


class NewTables:
    """Non-continual MEDA: new rows at the start of every epoch except the first.

    Args:
      tables: of the ranker.
      make_tables: maps the number of an epoch to new rows of every table.
    """

    def __init__(self, tables: Mapping[str, EmbeddingTable], make_tables: Callable[[int], Tables]):
        self._tables, self._make_tables = tables, make_tables

    @property
    def placed_variables(self) -> tuple[PlacedVariable, ...]:
        """Variables that a resumed run needs in addition to the tables."""
        return ()

    def begin_epoch(self, epoch: int) -> None:
        """Replace the rows; call it outside of replicas before the first step of an epoch, from 1."""
        if epoch > 1:
            rows = self._make_tables(epoch)
            for name, table in self._tables.items():
                table.reset(rows[name])


class TableGroups:
    """Continual MEDA: groups of tables that take turns of one round. Create it inside the strategy's scope.

    The active group is in the ranker's own tables; the others are parked with their optimizer state.

    Args:
      tables: of the ranker, the first group.
      make_tables: maps the number of a group, from 1, to its initial rows.
      groups: number of groups, at least 2.
    """

    def __init__(self, tables: Mapping[str, EmbeddingTable], make_tables: Callable[[int], Tables], groups: int):
        self._tables = tables
        self._parked = []
        for group in range(2, groups + 1):
            rows = make_tables(group)
            self._parked.append({name: EmbeddingTable(f"{name}_group_{group}", rows[name], table.optimizer,
                                                      placement=table.placement)
                                 for name, table in tables.items()})

    @property
    def placed_variables(self) -> tuple[PlacedVariable, ...]:
        """The parked groups."""
        return tuple(variable for group in self._parked for table in group.values()
                     for variable in table.placed_variables)

    def begin_epoch(self, number: int) -> None:
        """Activate the round's group; call it outside of replicas before the first step of a round, from 1."""
        if number == 1:
            return
        # The turns are cyclic: the next group is the one parked longest, so the parking slots are used in cyclic order.
        for name, parked in self._parked[(number - 2) % len(self._parked)].items():
            _swap(self._tables[name], parked)


def _swap(one: EmbeddingTable, other: EmbeddingTable) -> None:
    for first, second in zip(one.variables, other.variables, strict=True):
        for copy, other_copy in zip(replica_copies(first), replica_copies(second), strict=True):
            with tf.device(copy.device):  # a table in host memory may not fit on the default device
                value = tf.identity(copy)
                copy.assign(other_copy)
                other_copy.assign(value)


def make_meda(config: Meda | None, tables: Mapping[str, EmbeddingTable], make_tables: Callable[[int], Tables], *,
              epochs: int) -> NewTables | TableGroups | None:
    """Create the configured variant; None without MEDA."""
    if config is None:
        return None
    if isinstance(config, ContinualMeda):
        return TableGroups(tables, make_tables, epochs)
    return NewTables(tables, make_tables)
