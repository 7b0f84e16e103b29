"""The life cycle of ids from window to window: admission, expiry, eviction, and reuse of their rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.id_arrays import sortable
from tfrs_pretrain.lifecycle_rules import Eviction, LifecycleRules
from tfrs_pretrain.lifetimes import Lifetimes
from tfrs_pretrain.vocabulary import Vocabulary


def begin(vocabulary: Vocabulary, end: int) -> Vocabulary:
    """Adds lifetimes to a vocabulary without: every id counts as seen in the window that ends at ``end``."""
    life = Lifetimes.of_first_window(vocabulary.counts, vocabulary.is_free, end)
    return Vocabulary(vocabulary.ids, vocabulary.counts, vocabulary.oov_rows, life, vocabulary.forgotten)


class Extendable(Protocol):
    """The vocabulary to extend, see ``EarlierVocabulary``."""

    def blocks(self) -> Iterator[Vocabulary]: ...

    def ids_at(self, positions: np.ndarray) -> pa.ChunkedArray: ...


class Counted(Protocol):
    """Counts of the later window, see ``WindowCounts``."""

    @property
    def known(self) -> np.ndarray: ...

    @property
    def new(self) -> pa.Table: ...


@dataclasses.dataclass(frozen=True)
class LifecycleStep:
    """Which ids leave in a later window, and the lifetimes of the others. Positions are rows without the shared ones.

    Attributes:
      life: in the later window, of the positions of the earlier vocabulary.
      leaves: bool [n], positions without an id or whose id leaves.
      num_admitted: number of new ids that are admitted, from the first.
    """

    life: Lifetimes
    leaves: np.ndarray
    num_admitted: int

    @classmethod
    def of(cls, earlier: Extendable, window: Counted, max_size: int | None, end: int, rules: LifecycleRules
           ) -> LifecycleStep:
        """Apply the rules to the ids of an earlier vocabulary with lifetimes and the new ids.

        Args:
          earlier: the vocabulary to extend.
          window: counts of the later window.
          max_size: maximum number of ids (None: no limit).
          end: of the later window.
          rules: which ids leave.

        Raises:
          UserError: more ids than ``max_size`` stay and ``rules.eviction`` is None.
        """
        lives, are_free, start = [], [], 0
        for block in earlier.blocks():
            assert block.lifetimes is not None
            counts = window.known[start:start + len(block.ids)]
            lives.append(_in_next_window(block.lifetimes, counts, end, rules.decay))
            are_free.append(block.is_free)
            start += len(block.ids)
        life = Lifetimes.joined(lives)
        leaves = np.concatenate(are_free) | rules.expired(life.last, life.window_ends)
        admitted = np.ones(window.new.num_rows, bool)
        if max_size is not None and len(leaves) - leaves.sum() + len(admitted) > max_size:
            leaves, admitted = _within(max_size, earlier, life, leaves, window.new, rules.eviction)
        return cls(life, leaves, int(admitted.sum()))

    def lifetimes(self, start: int, end: int, size: int, new: np.ndarray, counts: np.ndarray) -> Lifetimes:
        """Return the lifetimes of the positions ``start`` to ``end - 1`` after the placement of new ids.

        Args:
          start: first position.
          end: position after the last.
          size: number of positions after the placement, at least ``end - start``.
          new: int64 [m], positions of new ids, relative to ``start``.
          counts: int64 [m], their counts.
        """
        life = self.life.slice(start, end).with_freed(self.leaves[start:end])
        return _with_new(life, size, new, counts)


def _in_next_window(life: Lifetimes, counts: np.ndarray, end: int, decay: float) -> Lifetimes:
    window_ends = (*life.window_ends, end)
    last = np.where(counts > 0, np.int32(len(window_ends) - 1), life.last)
    return Lifetimes(decay * life.decayed + counts, life.first, last, window_ends)


def _with_new(life: Lifetimes, size: int, positions: np.ndarray, counts: np.ndarray) -> Lifetimes:
    added = size - len(life.first)
    decayed, first, last = (np.append(values, np.zeros(added, values.dtype))
                            for values in (life.decayed, life.first, life.last))
    decayed[positions], first[positions], last[positions] = counts, life.window, life.window
    return Lifetimes(decayed, first, last, life.window_ends)


def _within(max_size: int, earlier: Extendable, life: Lifetimes, leaves: np.ndarray, new: pa.Table,
            eviction: Eviction | None) -> tuple[np.ndarray, np.ndarray]:
    """Chooses ``max_size`` ids of those that stay and the new ones.

    Returns:
      bool [n]: the position is free or its id leaves; bool [m]: the new id is admitted, which are the first ones.
    """
    stays = np.flatnonzero(~leaves)
    if eviction is None:
        if len(stays) > max_size:
            raise UserError(f"the vocabulary to extend has {len(stays)} ids, more than max_size {max_size}, and each "
                            "would keep its row: raise max_size, set eviction, or build without --extend")
        return leaves, np.arange(new.num_rows) < max_size - len(stays)
    recency = np.concatenate([life.last[stays], np.full(new.num_rows, life.window, np.int32)])
    frequency = np.concatenate([life.decayed[stays], new["count"].to_numpy()])
    first, second = (recency, frequency) if eviction == "least_recent" else (frequency, recency)
    last = np.lexsort((-second, -first))[max_size - 1]
    is_chosen = (first > first[last]) | ((first == first[last]) & (second > second[last]))
    tied, room = np.flatnonzero((first == first[last]) & (second == second[last])), max_size - int(is_chosen.sum())
    # Among equals, an id that has a row keeps it; then ids are in order, as the new ones are.
    num_tied = int(np.searchsorted(tied, len(stays)))
    if num_tied > room:
        ids = sortable(earlier.ids_at(stays[tied[:num_tied]]))
        tied = tied[pc.sort_indices(ids).to_numpy()]
    is_chosen[tied[:room]] = True
    leaves = leaves.copy()
    leaves[stays[~is_chosen[:len(stays)]]] = True
    return leaves, is_chosen[len(stays):]
