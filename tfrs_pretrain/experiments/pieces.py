"""Pieces of an experiment: logs, datasets, pretrained rows and rankers, each named by a digest of its inputs.

Arms and seeds that need the same piece share it. A finished piece is never made again::

    <output>/pieces/<kind>/<readable prefix>-<digest>/

Logs and datasets use the seed of the configuration, so all arms and seeds are evaluated on the same impressions. The
experiment's seeds apply to both stages of training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND, EMBEDDINGS_KIND, LOGS_KIND, MANIFEST, RANKER_KIND
from tfrs_pretrain.artifacts import has_manifest
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.output_folders import inside

LOGS, DATASET, EMBEDDINGS, RANKER = KINDS = (LOGS_KIND, DATASET_KIND, EMBEDDINGS_KIND, RANKER_KIND)
PIECES, CONSOLE = "pieces", "console"  # folders of the pieces, and of the console output while they were made


@dataclasses.dataclass(frozen=True)
class Piece:
    """One folder of an experiment's output.

    Attributes:
      kind: one of ``KINDS``.
      name: unique within the kind.
      task: argument of ``make_piece``, JSON values.
      needs: pieces that must be finished first.
      work: amount of work relative to other pieces of the kind.
    """

    kind: str
    name: str
    task: Mapping[str, Any] = dataclasses.field(compare=False)
    needs: tuple[Piece, ...] = dataclasses.field(default=(), compare=False)
    work: float = dataclasses.field(default=1.0, compare=False)

    @classmethod
    def from_inputs(cls, kind: str, prefix: str, inputs: Any, task: Mapping[str, Any], needs: tuple[Piece, ...] = (),
                    work: float = 1.0) -> Piece:
        """Return a piece whose name ends in the digest of ``inputs``, a JSON value with all that determines it."""
        return cls(kind, f"{prefix}-{json_digest(inputs)[:12]}", task, needs, work)

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"

    def folder(self, root: Path) -> Path:
        """Return its folder below the output folder of an experiment."""
        return inside(root, PIECES, self.kind, self.name)

    def console_log(self, root: Path) -> Path:
        """Return the file with the console output of the processes that made it."""
        return inside(root, CONSOLE, f"{self.kind}.{self.name}.log")

    def is_finished(self, root: Path) -> bool:
        return has_manifest(self.folder(root), DATASET_INFO if self.kind == DATASET else MANIFEST)

    def with_dependencies(self) -> list[Piece]:
        """Return all direct and indirect dependencies, each after its own, then the piece itself."""
        found: dict[Piece, None] = {}
        self._add_to(found)
        return list(found)

    def _add_to(self, found: dict[Piece, None]) -> None:
        if self not in found:
            for need in self.needs:
                need._add_to(found)
            found[self] = None
