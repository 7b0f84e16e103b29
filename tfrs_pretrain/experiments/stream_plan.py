"""Validate all arms of a stream and plan their chains of rankers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arms import Arm, baselines, expand, selected
from tfrs_pretrain.experiments.definition import Settings, Stream
from tfrs_pretrain.experiments.experiment_file import load_experiment
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection, checked_seeds
from tfrs_pretrain.experiments.piece_planner import (
    CARRIED,
    REFRESHED_FROM,
    START_FROM,
    START_FROM_DATASET,
    Link,
    Planner,
)
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.experiments.stream_carry import Carry
from tfrs_pretrain.experiments.stream_windows import StreamWindows


@dataclasses.dataclass(frozen=True)
class CarriedArm:
    """One candidate of an arm.

    Attributes:
      config: its configuration; windows and seed are those of each piece.
      carry: how it is carried.
    """

    config: Config
    carry: Carry


def load_plan(path: Path, selection: Selection) -> Plan | StreamPlan:
    """Return the plan of an experiment, of a stream if its file has one.

    Raises:
      UserError: as ``Plan``.
    """
    has_stream = load_experiment(path, selection.log).stream is not None
    return StreamPlan(path, selection) if has_stream else Plan(path, selection)


class StreamPlan:
    """Arms, configurations and pieces of a stream.

    Args:
      path: experiment file with a section ``stream``.
      selection: command-line options.

    Attributes:
      experiment, seeds, arms, baselines, planner: as in ``Plan``.
      stream: section ``stream``.
      windows: its windows.

    Raises:
      UserError: the file, an arm's settings or the selection is not valid.
    """

    def __init__(self, path: Path, selection: Selection):
        self.experiment = load_experiment(path, selection.log)
        assert self.experiment.stream is not None  # checked by the caller
        self.stream: Stream = self.experiment.stream
        self.seeds = checked_seeds(self.experiment, selection)
        every = expand(self.experiment)
        self.planner = Planner(self.experiment, path, selection.data)
        self.baselines = baselines(self.experiment, every)
        self.arms = selected(every, selection.arms, self.baselines)
        self.windows = StreamWindows(self.stream, self.planner.configs.shared)
        self._carried: dict[tuple[str, str], CarriedArm] = {}  # kept: the keys of pieces are their addresses
        self._pieces: dict[tuple[object, ...], Piece] = {}
        for arm in self.arms:  # report every invalid arm before any work starts
            for settings in arm.candidates:
                self.carried(arm, settings)

    @property
    def choosing(self) -> Sequence[int]:
        """Numbers of the windows whose rankers decide the settings."""
        return range(1, self.stream.num_choosing + 1)

    def carried(self, arm: Arm, settings: Settings) -> CarriedArm:
        """Return one of the arm's candidates."""
        key = arm.name, repr(settings)
        if key not in self._carried:
            self._carried[key] = self._checked(arm, settings)
        return self._carried[key]

    def trials(self, arm: Arm) -> list[list[Piece]]:
        """Return the rankers of each candidate up to the last choosing window; empty for a single candidate."""
        if len(arm.candidates) == 1:
            return []
        return [self.chain(arm, settings, self.seeds[0])[:len(self.choosing)] for settings in arm.candidates]

    def chain(self, arm: Arm, settings: Settings, seed: int) -> list[Piece]:
        """Return the rankers of all windows but the last, in order."""
        return [self._ranker(self.carried(arm, settings), seed, number) for number in range(1, self.stream.windows)]

    def targets(self, arm: Arm, settings: Settings | None) -> list[Piece]:
        """Return the rankers of an arm: of its trials and, with chosen settings, of every seed."""
        finals = [piece for seed in self.seeds for piece in self.chain(arm, settings, seed)] if (
            settings is not None) else []
        return [*(piece for pieces in self.trials(arm) for piece in pieces), *finals]

    def settings_digest(self, arm: Arm, settings: Settings) -> str:
        """Return a digest that identifies a candidate of the arm, independent of the seed."""
        return self._ranker(self.carried(arm, settings), self.seeds[0], self.stream.judged).name

    def _checked(self, arm: Arm, settings: Settings) -> CarriedArm:
        where = f"experiment, arm {arm.name!r}"
        if arm.teacher:
            raise UserError(f"{where}: a stream carries no teachers: remove teacher {arm.teacher!r}")
        if window := next((key for key in settings if f"{key}.".startswith("windows.")), None):
            raise UserError(f"{where} sets {window!r}, but the stream determines all windows: remove it")
        config = self.planner.configs.arm_config(arm.name, settings)
        carry = Carry.from_settings({**self.experiment.set, **settings}, where)
        [entry] = config.ranking.arms.values()
        carry.check(entry, where)
        return CarriedArm(config, carry)

    def _dataset(self, config: Config, number: int, sliding: int = 1) -> Piece:
        """Return the dataset of a window; with more windows to train on, it has the same vocabularies."""
        config_of_window = self._in_window(config, number, sliding)
        title = f"window{number}" + (f"-{sliding}windows" if config_of_window.windows.allow_overlap else "")
        earlier = self._dataset(config, number - 1) if number > 1 else None
        return self._once(("dataset", title, id(config)),
                          lambda: self.planner.dataset(config_of_window, earlier, title))

    def _in_window(self, config: Config, number: int, sliding: int = 1) -> Config:
        windows = self.windows.windows_of_dataset(number, sliding=sliding)
        return config.model_copy(update={"windows": windows})

    def _stage_one(self, arm: CarriedArm, seed: int, number: int) -> Piece:
        """Return the rows of Stage I that was trained on the engagements before a window, window by window."""
        config, earlier = self._in_window(arm.config, number).model_copy(update={"seed": seed}), {}
        if number > 1:
            settings = config.pretraining.model_copy(update={"epochs": arm.carry.refresh_epochs})
            config = config.model_copy(update={"pretraining": settings})
            earlier = {START_FROM: self._stage_one(arm, seed, number - 1)}
        link = Link(self._dataset(arm.config, number), earlier=earlier, title=f"window{number}-seed{seed}")
        return self._once(("stage one", id(arm), seed, number), lambda: self.planner.embeddings(config, link))

    def _rows(self, arm: CarriedArm, seed: int, number: int) -> Piece:
        """Return the rows that the ranker of a window starts from: those of the last refresh, at the window's ids."""
        if arm.carry.last_refresh(number) == number:
            return self._stage_one(arm, seed, number)
        link = Link(self._dataset(arm.config, number), earlier={CARRIED: self._rows(arm, seed, number - 1)},
                    title=f"window{number}-seed{seed}-carried")
        return self._once(("rows", id(arm), seed, number), lambda: self.planner.embeddings(
            self._in_window(arm.config, number), link))

    def _ranker(self, arm: CarriedArm, seed: int, number: int) -> Piece:
        def make() -> Piece:
            sliding, [entry] = arm.carry.sliding_windows, arm.config.ranking.arms.values()
            dataset = self._dataset(arm.config, number, sliding or 1)
            rows = self._rows(arm, seed, number) if entry.pretrained_tables else None
            earlier = {} if sliding or number == 1 else {
                START_FROM: self._ranker(arm, seed, number - 1),
                START_FROM_DATASET: self._dataset(arm.config, number - 1)}
            if rows and earlier and arm.carry.last_refresh(number) == number:
                earlier[REFRESHED_FROM] = self._rows(arm, seed, number - 1)
            link = Link(dataset, rows, earlier, f"window{number}-seed{seed}", work=min(sliding or 1, number))
            config = self._in_window(arm.config, number, sliding or 1)
            return self.planner.ranker(config, seed, test=False, link=link)

        return self._once(("ranker", id(arm), seed, number), make)

    def _once(self, key: tuple[object, ...], make: Callable[[], Piece | None]) -> Piece:
        """Make a piece at its first use: its digest takes a millisecond, and a chain uses it in many places."""
        if key not in self._pieces:
            piece = make()
            assert piece is not None  # a stream's dataset is never provided, see Experiment
            self._pieces[key] = piece
        return self._pieces[key]
