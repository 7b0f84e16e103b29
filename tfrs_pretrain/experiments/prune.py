"""Remove pieces that neither the current experiment file nor its report needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection
from tfrs_pretrain.experiments.output_lock import locked
from tfrs_pretrain.experiments.pieces import KINDS, PIECES
from tfrs_pretrain.experiments.stream_plan import StreamPlan, load_plan
from tfrs_pretrain.output_folders import remove_folder
from tfrs_pretrain.stream_study import FILE as STREAM_FILE
from tfrs_pretrain.stream_study import StreamStudy
from tfrs_pretrain.study import FILE, Study


@dataclasses.dataclass(frozen=True)
class UnneededFolder:
    """A folder that nothing needs: a piece, its checkpoints, or the remains of a killed writer."""

    folder: Path
    size: int


def prune(path: Path, output: Path, selection: Selection, confirm: Callable[[Sequence[UnneededFolder]], bool]) -> None:
    """Remove unneeded folders after confirmation.

    Needed are the pieces of any command with this file, with its seeds or the selected ones and any candidate of an
    arm, and the pieces of the report in the folder. The folder is locked meanwhile.

    Args:
      path: experiment file.
      output: output folder of the experiment.
      selection: data, seeds and log; all arms are kept.
      confirm: called with the folders to remove; returns whether to remove them.

    Raises:
      UserError: no experiment ran there, the file or the study is invalid, or another process works in the folder.
        Nothing is removed.
    """
    if not (output / PIECES).is_dir():
        raise UserError(f"{str(output)!r} has no folder {PIECES!r}, so no experiment ran there: check --output")
    plans = [load_plan(path, Selection(selection.data, seeds=seeds, log=selection.log))
             for seeds in ((), selection.seeds)]
    with locked(output):
        needed = {folder for plan in plans for folder in _planned(plan, output)} | _reported(output)
        folders = [folder for kind in KINDS for folder in sorted((output / PIECES / kind).glob("*"))]
        unneeded = [UnneededFolder(folder, _size(folder)) for folder in folders if not _belongs(folder, needed)]
        if confirm(unneeded):
            for each in unneeded:
                remove_folder(each.folder)


def _planned(plan: Plan | StreamPlan, output: Path) -> set[Path]:
    rankers = {piece for arm in plan.arms for settings in arm.candidates for piece in plan.targets(arm, settings)}
    return {need.folder(output) for ranker in rankers for need in ranker.with_dependencies()}


def _reported(output: Path) -> set[Path]:
    folders: set[Path | None] = set()
    if (output / FILE).is_file():
        folders |= {folder for arm in Study.open(output).arms for run in arm.runs
                    for folder in (run.ranker, run.embeddings, run.dataset)}
    if (output / STREAM_FILE).is_file():
        folders |= {folder for arm in StreamStudy.open(output).arms for steps in arm.runs.values() for step in steps
                    for folder in (step.ranker, step.dataset)}
    return {folder for folder in folders if folder}


def _belongs(folder: Path, needed: set[Path]) -> bool:
    """Whether it is a needed piece or contains the checkpoints of one."""
    return folder in needed or folder.with_suffix("") in needed


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
