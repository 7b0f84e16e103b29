"""Nearest neighbours of ids by their pretrained rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.interop.id_rows import IdRows, compared, similarity
from tfrs_pretrain.interop.raw_ids import as_ids
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.metrics.top_items import top_items


@dataclasses.dataclass(frozen=True)
class Neighbors:
    """The ids that are most similar to one id.

    Attributes:
      id: the id.
      count: its occurrences in the window from which the vocabulary was built.
      similarity: "cosine" or "inner product", as Stage I compares rows.
      neighbors: ``id``, ``similarity`` and ``count`` of each, the most similar first.
    """

    id: int | str
    count: int
    similarity: str
    neighbors: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as a JSON value."""
        return dataclasses.asdict(self)


def find_neighbors(embeddings: Embeddings, ids: Sequence[int | str], *, table: str = "item", k: int = 10
                   ) -> list[Neighbors]:
    """Finds the ids of a table with the most similar rows, by comparing all of them.

    Args:
      embeddings: the artifact.
      ids: ids that have a row of their own.
      table: name of the table.
      k: maximum number of neighbours.

    Raises:
      UserError: there is no such table, or an id has no row of its own.
    """
    read, vocabulary = IdRows.read(embeddings, table), embeddings.vocabulary(table)
    rows = vocabulary.lookup(as_ids(list(ids), vocabulary.dtype)[0])
    for name, row in zip(ids, rows, strict=True):
        if row < vocabulary.oov_rows:
            raise UserError(f"id {name!r} has no row of its own in table {table!r} of {str(embeddings.folder)!r}: it "
                            "is unknown or too rare; name one of the ids that `embeddings export` writes")
    positions = np.searchsorted(read.rows, rows)
    kind = similarity(embeddings)
    vectors = compared(read.vectors(), kind)
    own = Interactions.from_pairs(np.arange(len(positions)), positions, len(positions))
    found = top_items(vectors[positions], vectors, min(k, len(read)), own)
    return [Neighbors(read.ids[int(position)].as_py(), int(read.counts[position]), kind, [
        {"id": read.ids[int(other)].as_py(), "similarity": float(vectors[other] @ vectors[position]),
         "count": int(read.counts[other])} for other in others if other >= 0])
        for position, others in zip(positions, found, strict=True)]
