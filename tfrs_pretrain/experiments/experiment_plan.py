"""Validate all arms of an experiment and plan their rankers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arms import Arm, baselines, expand, selected
from tfrs_pretrain.experiments.definition import Experiment, Settings
from tfrs_pretrain.experiments.experiment_file import load_experiment
from tfrs_pretrain.experiments.piece_planner import Planner
from tfrs_pretrain.experiments.pieces import Piece


@dataclasses.dataclass(frozen=True)
class Selection:
    """Command-line options that restrict an experiment.

    Attributes:
      data: folder of the provided logs or dataset.
      arms: names of the arms to run. Empty: all. The baseline is always included.
      seeds: seeds to use instead of the file's. Empty: those of the file.
      log: name of the log, in a file with several. None: the file has one.
    """

    data: Path | None = None
    arms: Sequence[str] = ()
    seeds: Sequence[int] = ()
    log: str | None = None


def checked_seeds(experiment: Experiment, selection: Selection) -> list[int]:
    """Return the seeds of the command line, else those of the file.

    Raises:
      UserError: a seed is listed twice.
    """
    seeds = list(selection.seeds or experiment.seeds)
    if len(set(seeds)) < len(seeds):  # one run counted twice would look like two that agree
        raise UserError(f"--seed {' --seed '.join(map(str, seeds))}: list each seed once")
    return seeds


class Plan:
    """Arms, configurations and pieces of an experiment.

    Args:
      path: experiment file.
      selection: command-line options.

    Attributes:
      experiment: content of the file.
      seeds: selected seeds.
      arms: selected arms, in the order of the file.
      baselines: names of the possible baselines.
      planner: derives the pieces.

    Raises:
      UserError: the file, an arm's settings or the selection is not valid.
    """

    def __init__(self, path: Path, selection: Selection):
        self.experiment = load_experiment(path, selection.log)
        self.seeds = checked_seeds(self.experiment, selection)
        every = expand(self.experiment)
        self.planner = Planner(self.experiment, path, selection.data)
        self.baselines = baselines(self.experiment, every)
        self.arms = selected(every, selection.arms, self.baselines)
        self._known = {arm.name: arm for arm in every}
        for arm in self.arms:  # report every invalid arm before any work starts
            for settings in arm.candidates:
                self.config(arm, settings)

    def config(self, arm: Arm, settings: Settings) -> Config:
        """Return the configuration of one of the arm's candidates."""
        return self.planner.configs.arm_config(arm.name, settings, has_teacher=arm.teacher is not None)

    def ranker(self, arm: Arm, settings: Settings, seed: int, *, test: bool = True) -> Piece:
        """Return the ranker piece of one of the arm's candidates."""
        teacher = None
        if arm.teacher:
            teacher_arm = self._known[arm.teacher]
            teacher = self.ranker(teacher_arm, teacher_arm.candidates[0], seed)
        return self.planner.ranker(self.config(arm, settings), seed, test=test, teacher=teacher)

    def trials(self, arm: Arm) -> list[Piece]:
        """Return one ranker per candidate; empty for an arm with a single candidate."""
        if len(arm.candidates) == 1:
            return []
        return [self.ranker(arm, settings, self.seeds[0], test=False) for settings in arm.candidates]

    def targets(self, arm: Arm, settings: Settings | None) -> list[Piece]:
        """Return the rankers of an arm: of its trials and, with chosen settings, of every seed."""
        finals = [self.ranker(arm, settings, seed) for seed in self.seeds] if settings is not None else []
        return [*self.trials(arm), *finals]

    def settings_digest(self, arm: Arm, settings: Settings) -> str:
        """Return a digest that identifies a candidate of the arm, independent of the seed."""
        teacher = self._known[arm.teacher] if arm.teacher else None
        return self.planner.settings_digest(
            self.config(arm, settings), self.config(teacher, teacher.candidates[0]) if teacher else None)
