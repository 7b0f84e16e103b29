"""What an experiment is made of: logs, datasets, pretrained rows and rankers, each named after all that decides it.

Arms and seeds that need the same piece share it, and a piece that lies there finished is never made again::

    <output>/pieces/<kind>/<readable prefix>-<digest>/

Logs and datasets come from the configuration's own seed, so that arms and seeds are judged on the same impressions;
the experiment's seeds vary both stages of training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND, EMBEDDINGS_KIND, LOGS_KIND, MANIFEST, RANKER_KIND
from tfrs_pretrain.artifacts import json_digest

LOGS, DATASET, EMBEDDINGS, RANKER = KINDS = (LOGS_KIND, DATASET_KIND, EMBEDDINGS_KIND, RANKER_KIND)
PIECES, WORDS = "pieces", "words"  # folders: what was made, and what was said while making it


@dataclasses.dataclass(frozen=True)
class Piece:
    """One folder to make.

    Attributes:
      kind: one of ``KINDS``.
      name: unique within the kind.
      task: what ``perform`` is told, JSON values.
      needs: pieces that must be there first.
      work: relative to other pieces of the kind.
    """

    kind: str
    name: str
    task: Mapping[str, Any] = dataclasses.field(compare=False)
    needs: tuple[Piece, ...] = dataclasses.field(default=(), compare=False)
    work: float = dataclasses.field(default=1.0, compare=False)

    @classmethod
    def of(cls, kind: str, prefix: str, decides: Any, task: Mapping[str, Any], needs: tuple[Piece, ...] = (),
           work: float = 1.0) -> Piece:
        """A piece that ``decides``, a JSON value, names."""
        return cls(kind, f"{prefix}-{json_digest(decides)[:12]}", task, needs, work)

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"

    def folder(self, root: Path) -> Path:
        """Where it lies in an experiment's output."""
        return root / PIECES / self.kind / self.name

    def words(self, root: Path) -> Path:
        """What was said while it was made."""
        return root / WORDS / f"{self.kind}.{self.name}.log"

    def is_finished(self, root: Path) -> bool:
        return (self.folder(root) / (DATASET_INFO if self.kind == DATASET else MANIFEST)).is_file()

    def with_needs(self) -> list[Piece]:
        """Itself behind all that it needs, directly or not; some may be there twice."""
        return [*(piece for need in self.needs for piece in need.with_needs()), self]
