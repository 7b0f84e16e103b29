"""Differences between two vocabularies, by comparison of the ids at each row."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrs_pretrain.row_arrays import PatchedRows, Rows, TakenRows
from tfrs_pretrain.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class VocabularyChanges:
    """Numbers of ids.

    Attributes:
      kept: ids of both vocabularies.
      admitted: ids of the later one only.
      evicted: ids of the earlier one only.
      reused: admitted ids whose row exists in the earlier vocabulary, where it is free or belongs to another id.
      deleted: ids that were forgotten since the earlier vocabulary was built.
    """

    kept: int
    admitted: int
    evicted: int
    reused: int
    deleted: int

    @classmethod
    def between(cls, earlier: Vocabulary, later: Vocabulary) -> VocabularyChanges:
        """Compares two vocabularies, of which the later one extends the earlier.

        Raises:
          RuntimeError: the numbers do not add up, or an id has moved to another row.
        """
        rows = later.lookup(earlier.known_ids)
        is_kept = rows >= later.oov_rows
        kept = int(is_kept.sum())
        changes = cls(kept, later.num_ids - kept, earlier.num_ids - kept,
                      int((later.id_rows < earlier.num_rows).sum()) - kept, earlier.forgotten)
        appended = changes.admitted - changes.reused
        moved = int((rows[is_kept] != earlier.id_rows[is_kept]).sum())
        free = len(earlier.free) + changes.evicted - changes.reused
        if moved or later.num_rows - earlier.num_rows != appended or len(later.free) != free:
            raise RuntimeError(f"{changes} do not add up: {moved} ids moved, {earlier.num_rows} rows became "
                               f"{later.num_rows}, {len(earlier.free)} free rows became {len(later.free)}")
        return changes


@dataclasses.dataclass(frozen=True)
class RowMap:
    """Rows of the same ids in two vocabularies; an id of only one of them has no entry.

    Attributes:
      source: int64 [n], rows of the earlier vocabulary.
      target: int64 [n], the rows of these ids in the later vocabulary.
      shared: number of shared rows, if both vocabularies have the same number, else 0.
    """

    source: np.ndarray
    target: np.ndarray
    shared: int

    @classmethod
    def between(cls, earlier: Vocabulary, later: Vocabulary) -> RowMap:
        """Matches two vocabularies of the same type by id."""
        rows = earlier.lookup(later.known_ids)
        is_known = rows >= earlier.oov_rows
        shared = later.oov_rows if earlier.oov_rows == later.oov_rows else 0
        return cls(rows[is_known], later.id_rows[is_known], shared)

    def copy(self, source: np.ndarray, target: Rows) -> Rows:
        """Returns ``target`` [num_rows, dim] with the rows of ``source`` [rows, dim], and its shared rows."""
        order, shared = np.argsort(self.target), np.arange(self.shared)
        rows, taken = (np.concatenate([shared, part[order]]) for part in (self.target, self.source))
        return PatchedRows(target, rows, TakenRows(source, taken))
