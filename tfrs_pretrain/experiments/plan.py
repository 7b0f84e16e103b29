"""All arms of an experiment, checked, and the rankers that they ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arms import Arm, baselines, expand, selected
from tfrs_pretrain.experiments.definition import Settings, load_experiment
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.experiments.planner import Planner


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is asked for beside the file.

    Attributes:
      data: folder of given logs or of a dataset.
      arms: names to keep, all if empty; the baseline is always kept.
      seeds: to use instead of the file's, if any.
    """

    data: Path | None = None
    arms: Sequence[str] = ()
    seeds: Sequence[int] = ()


class Plan:
    """An experiment's arms, configurations and pieces.

    Args:
      path: of the file.
      selection: what is asked for beside it.

    Attributes:
      experiment: the file's content.
      seeds: in use.
      arms: in use, in the order of the file.
      baselines: arms that differences may be to.
      planner: makes pieces.

    Raises:
      UserError: the file, an arm's settings or the selection is not valid.
    """

    def __init__(self, path: Path, selection: Selection):
        self.experiment = load_experiment(path)
        self.seeds = list(selection.seeds or self.experiment.seeds)
        if len(set(self.seeds)) < len(self.seeds):  # one run counted twice would look like two that agree
            raise UserError(f"--seed {' --seed '.join(map(str, self.seeds))}: name each seed once")
        every = expand(self.experiment)
        self.planner = Planner(self.experiment, path, selection.data)
        self.baselines = baselines(self.experiment, every)
        self.arms = selected(every, selection.arms, self.baselines)
        self._known = {arm.name: arm for arm in every}
        for arm in self.arms:  # all that is wrong is said before the first minute of work
            for settings in arm.candidates:
                self.config(arm, settings)

    def config(self, arm: Arm, settings: Settings) -> Config:
        """Of one of the arm's candidates."""
        return self.planner.arm_config(arm.name, settings, taught=arm.teacher is not None)

    def ranker(self, arm: Arm, settings: Settings, seed: int, *, test: bool = True) -> Piece:
        """The ranker of one of the arm's candidates."""
        teacher = None
        if arm.teacher:
            one = self._known[arm.teacher]
            teacher = self.ranker(one, one.candidates[0], seed)
        return self.planner.ranker(self.config(arm, settings), seed, test=test, teacher=teacher)

    def trials(self, arm: Arm) -> list[Piece]:
        """One ranker for each candidate; none where there is nothing to choose."""
        if len(arm.candidates) == 1:
            return []
        return [self.ranker(arm, settings, self.seeds[0], test=False) for settings in arm.candidates]

    def settings_digest(self, arm: Arm, settings: Settings) -> str:
        """Names one of the arm's candidates, whatever the seed."""
        teacher = self._known[arm.teacher] if arm.teacher else None
        return self.planner.settings_digest(
            self.config(arm, settings), self.config(teacher, teacher.candidates[0]) if teacher else None)
