"""Removes pieces that an experiment's file, as it is now, and its report do not need."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.lock import working_in
from tfrs_pretrain.experiments.pieces import KINDS, PIECES
from tfrs_pretrain.experiments.plan import Plan, Selection
from tfrs_pretrain.study import FILE, Study


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A folder that nothing needs: a piece, its checkpoints, or what a killed writer left of it."""

    folder: Path
    size: int


def prune(path: Path, output: Path, selection: Selection, agrees: Callable[[Sequence[Leftover]], bool]) -> None:
    """Removes what is not needed, if it is agreed to.

    Needed is what any command with this file needs, with its seeds or the selected ones, whatever candidate an arm may
    choose, and what the report in the folder was made from. Nothing else may work in the folder meanwhile.

    Args:
      path: of the experiment's file.
      output: folder of the experiment.
      selection: its data and seeds; all arms are kept.
      agrees: is told what would be removed.

    Raises:
      UserError: no experiment ran there, the file or the folder's study is not valid, or a process works in the folder;
        nothing is removed.
    """
    if not (output / PIECES).is_dir():
        raise UserError(f"{str(output)!r} has no folder {PIECES!r}, so no experiment ran there: name its --output")
    plans = [Plan(path, Selection(selection.data, seeds=seeds)) for seeds in ((), selection.seeds)]
    with working_in(output):
        needed = {folder for plan in plans for folder in _planned(plan, output)} | _reported(output)
        folders = [folder for kind in KINDS for folder in sorted((output / PIECES / kind).glob("*"))]
        found = [Leftover(folder, _size(folder)) for folder in folders if not _belongs(folder, needed)]
        if agrees(found):
            for leftover in found:
                _remove(leftover.folder)


def _remove(folder: Path) -> None:
    """Renames first: what is killed half-way must not look like a finished piece."""
    shutil.rmtree(folder.rename(folder.with_name(f".{folder.name.lstrip('.')}.pruned")))


def _planned(plan: Plan, output: Path) -> set[Path]:
    rankers = [piece for arm in plan.arms for piece in (
        *plan.trials(arm), *(plan.ranker(arm, settings, seed) for settings in arm.candidates for seed in plan.seeds))]
    return {need.folder(output) for ranker in rankers for need in ranker.with_needs()}


def _reported(output: Path) -> set[Path]:
    if not (output / FILE).is_file():
        return set()
    runs = [run for arm in Study.open(output).arms for run in arm.runs]
    return {folder for run in runs for folder in (run.ranker, run.embeddings, run.dataset) if folder}


def _belongs(folder: Path, needed: set[Path]) -> bool:
    """Whether it is a needed piece, or holds its checkpoints."""
    return folder in needed or folder.with_suffix("") in needed


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
