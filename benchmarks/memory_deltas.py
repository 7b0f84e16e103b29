"""Deltas in memory, for measurements of pushes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from serving import Catalogue

from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.deltas.table_change import TableChange
from tfrs_pretrain.serving.pushing.chunks import Chunk
from tfrs_pretrain.vocabulary import Vocabulary


@dataclasses.dataclass
class Change:
    """A delta in memory that replaces rows, with what ``delta_chunks`` reads of the state after it."""

    catalogue: Catalogue
    ranker: Ranker
    changes: dict[str, TableChange]
    digest: str

    @property
    def manifest(self) -> dict[str, Any]:
        return {"vocabularies": {}, "tables": self.changes, "dense_changed": False}

    def table(self, name: str) -> TableChange:
        return self.changes[name]

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return {name: self.catalogue.vocabulary(name) for name in dict.fromkeys(self.tables.values())}

    @property
    def tables(self) -> dict[str, str]:
        return self.ranker.inputs.tables

    @property
    def dense(self) -> Change:
        return self


def in_order(chunks: list[Chunk], version: str, number: int) -> Iterator[Chunk]:
    """Yields chunks that follow a version, with versions of their own."""
    for chunk in chunks:
        successor = f"{number} {chunk.successor}"
        yield dataclasses.replace(chunk, predecessor=version, successor=successor)
        version = successor
