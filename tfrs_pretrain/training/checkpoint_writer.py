"""Writes checkpoints, full ones and increments, so that their mean cost is low."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import CHECKPOINT_KIND
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import staged_folder
from tfrs_pretrain.training.checkpoint_files import write_variables
from tfrs_pretrain.training.increments import (
    BASE,
    all_marks,
    manifest_digest,
    num_bytes,
    restored_rows,
    touched_rows,
    write_increment,
)

MAX_INCREMENTS = 32  # if the full checkpoint is damaged, a run falls back to what was written before it


@dataclasses.dataclass
class Chain:
    """A full checkpoint and the cost of those that were written since.

    Attributes:
      base: name of the full checkpoint's folder.
      digest: of its manifest.
      full_bytes: of all variables.
      spent: bytes of the full checkpoint and its increments.
      count: their number.
    """

    base: str
    digest: str
    full_bytes: int
    spent: int
    count: int = 1

    def pays(self, size: int) -> bool:
        """Whether another increment of that size costs less than to begin a new chain.

        The mean cost of a chain's checkpoints is lowest if it ends when an increment costs more than the mean so far.
        An increment is at most half as large as a full checkpoint, because a resumed run reads both.
        """
        return self.count <= MAX_INCREMENTS and size <= self.full_bytes / 2 and size * self.count <= self.spent

    def add(self, size: int) -> None:
        """Count an increment."""
        self.spent, self.count = self.spent + size, self.count + 1


class CheckpointWriter:
    """Writes the checkpoints of one run; each one contains all variables, or refers to one that does."""

    def __init__(self) -> None:
        self._chain: Chain | None = None

    def write(self, target: Path, variables: Sequence[PlacedVariable], content: Mapping[str, Any]) -> None:
        """Write a checkpoint in one step.

        Args:
          target: its folder; replaced if it exists.
          variables: of the run.
          content: of the manifest.

        Raises:
          NonFiniteVariableError: a variable contains NaN or infinity.
          OSError: a file cannot be written.
        """
        changed, chain = touched_rows(variables), self._usable_chain(target)
        size = num_bytes(variables, changed)
        is_increment = chain is not None and chain.pays(size)
        with staged_folder(target, overwrite=True) as stage:
            entries = (write_increment(stage, variables, changed, chain.base, chain.digest) if chain and is_increment
                       else {"variables": write_variables(stage, variables)})
            write_manifest(stage, CHECKPOINT_KIND, {**content, **entries})
        if chain and is_increment:
            chain.add(size)
        else:
            self.continue_from(target, read_manifest(target, CHECKPOINT_KIND), variables)

    def continue_from(self, path: Path, manifest: Mapping[str, Any], variables: Sequence[PlacedVariable]) -> None:
        """Go on from a checkpoint that equals the variables: mark the rows that it changed since its full one."""
        size, rows = num_bytes(variables), restored_rows(path, manifest, variables)
        if BASE not in manifest:
            rows = dict.fromkeys(all_marks(variables), np.empty(0, np.int64))
            self._chain = Chain(path.name, manifest_digest(manifest), size, size)
        else:
            self._chain = Chain(manifest[BASE]["checkpoint"], manifest[BASE]["digest"], size, size)
        for touched, marked in rows.items():
            touched.replace(marked)

    def _usable_chain(self, target: Path) -> Chain | None:
        """The chain, if its full checkpoint is in place and is not the one to be replaced."""
        chain = self._chain
        if chain is None or chain.base == target.name:
            return None
        try:
            found = manifest_digest(read_manifest(target.with_name(chain.base), CHECKPOINT_KIND))
        except UserError:
            return None
        return chain if found == chain.digest else None
