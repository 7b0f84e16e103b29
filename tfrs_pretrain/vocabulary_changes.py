"""What an extension did to a vocabulary, by comparison of the ids at each row."""

from __future__ import annotations

import dataclasses

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
