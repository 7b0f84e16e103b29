"""The change from one vocabulary to the next: ids at rows, and ids that are gone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.id_arrays import joined, of_one_type, single_array
from tfrs_pretrain.vocabulary import Vocabulary

CHANGED, TOMBSTONES = "changed.parquet", "tombstones.parquet"


@dataclasses.dataclass(frozen=True)
class VocabularyChange:
    """Ids that moved, appeared or are gone.

    Attributes:
      num_ids: number of id positions of the later vocabulary, free ones included.
      positions: int64 [n], ascending positions whose id changed; the row of a position is ``oov_rows`` higher.
      ids: [n], the later id at each of them; null: the row is free.
      tombstones: ids of the earlier vocabulary that the later one does not have.
      num_new: number of ids that the earlier vocabulary does not have.
    """

    num_ids: int
    positions: np.ndarray
    ids: pa.Array
    tombstones: pa.Array
    num_new: int

    @classmethod
    def between(cls, earlier: Vocabulary, later: Vocabulary, name: str) -> VocabularyChange:
        """Compares two vocabularies.

        Args:
          earlier: vocabulary of the served state.
          later: vocabulary of the state to serve.
          name: name of both, for messages.

        Raises:
          UserError: their ids differ in type, or they differ in their number of shared rows.
        """
        if (earlier.dtype, earlier.oov_rows) != (later.dtype, later.oov_rows):
            raise UserError(f"vocabulary {name!r} has {later.oov_rows} shared rows and {later.dtype} ids, the base "
                            f"version {earlier.oov_rows} and {earlier.dtype}: export a full version, without "
                            "--delta-of")
        common = min(len(earlier.ids), len(later.ids))
        old, new = of_one_type(earlier.ids, later.ids)
        moved = np.flatnonzero(_differ(old.slice(0, common), new.slice(0, common)))
        positions = np.concatenate([moved, np.arange(common, len(later.ids))]).astype(np.int64)
        left = np.concatenate([moved, np.arange(common, len(earlier.ids))])
        before, after = old.take(pa.array(left)).drop_null(), new.take(pa.array(positions))
        return cls(len(later.ids), positions, after, _without(before, after), len(_without(after.drop_null(), before)))

    def apply(self, earlier: Vocabulary) -> Vocabulary:
        """Returns the later vocabulary; counts, which are not served, are 0."""
        sources = np.arange(self.num_ids)
        sources[self.positions] = len(earlier.ids) + np.arange(len(self.positions))
        ids = single_array(joined(earlier.ids, self.ids)).take(pa.array(sources))
        return Vocabulary(ids, np.zeros(self.num_ids, np.int64), earlier.oov_rows)

    def save(self, folder: Path) -> None:
        """Writes the change."""
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"position": self.positions, "id": self.ids}), folder / CHANGED)
        pq.write_table(pa.table({"id": self.tombstones}), folder / TOMBSTONES)

    @classmethod
    def load(cls, folder: Path, summary: dict[str, Any]) -> VocabularyChange:
        """Reads what ``save`` wrote.

        Args:
          folder: folder of the change.
          summary: entry of the delta's manifest, see ``summary``.
        """
        changed, tombstones = pq.read_table(folder / CHANGED), pq.read_table(folder / TOMBSTONES)
        return cls(summary["ids"], changed["position"].to_numpy(), changed["id"].combine_chunks(),
                   tombstones["id"].combine_chunks(), summary["new"])

    @property
    def summary(self) -> dict[str, Any]:
        """Counts for the delta's manifest."""
        return {"ids": self.num_ids, "changed": len(self.positions), "new": self.num_new,
                "tombstones": len(self.tombstones)}


def _differ(one: pa.Array, other: pa.Array) -> np.ndarray:
    """Bool [n]: the ids differ; two nulls are equal."""
    equal = pc.or_(pc.fill_null(pc.equal(one, other), False), pc.and_(pc.is_null(one), pc.is_null(other)))
    return ~np.asarray(equal.to_numpy(zero_copy_only=False), bool)


def _without(ids: pa.Array, others: pa.Array) -> pa.Array:
    return ids.filter(pc.invert(pc.is_in(ids, value_set=others)))
