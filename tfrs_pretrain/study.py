"""What was trained, arm by arm and seed by seed: handed from whoever ran it to whoever judges and reports it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import STUDY_KIND
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.config import Config, parse_config
from tfrs_pretrain.errors import UserError

FILE = "study.json"


@dataclasses.dataclass(frozen=True)
class Run:
    """One arm with one seed, finished.

    Attributes:
      seed: of Stage I and Stage II.
      ranker: folder that ``train_arm`` wrote, its test impressions scored.
      embeddings: folder that ``pretrain`` wrote; None for an arm that starts at no pretrained rows.
      dataset: folder that the Beam jobs wrote.
    """

    seed: int
    ranker: Path
    embeddings: Path | None
    dataset: Path


@dataclasses.dataclass(frozen=True)
class Trial:
    """One candidate of an arm's settings, judged on validation alone.

    Attributes:
      settings: dotted configuration key -> value; keys below ``arm.`` are the arm's.
      seed: that it was tried with.
      validation: metric -> value.
    """

    settings: Mapping[str, Any]
    seed: int
    validation: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A run that did not finish, with the reason in a line."""

    seed: int
    reason: str


@dataclasses.dataclass(frozen=True)
class StudiedArm:
    """One way to train.

    Attributes:
      name: unique in the study.
      settings: dotted configuration key -> value, where the arm differs from the study's configuration.
      runs: one a seed, in the order of seeds; fewer where some failed.
      trials: the candidates that the settings were chosen from; empty where there was no choice.
      failures: the runs that are missing.
    """

    name: str
    settings: Mapping[str, Any]
    runs: Sequence[Run]
    trials: Sequence[Trial] = ()
    failures: Sequence[Failure] = ()


@dataclasses.dataclass(frozen=True)
class Study:
    """A finished comparison of arms.

    Attributes:
      folder: where results and report go.
      title: in a few words.
      config: what all arms share.
      baseline: arm that differences are to.
      arms: in the order of the report, the baseline among them.
      seconds: wall-clock time by part.
      peak_rss_bytes: of the largest process.
      commands: shell lines that reproduce it.
      logs: manifest of the raw logs, where this project made them; its ``exposures`` says how impressions were derived.
      exported: manifest of the exported version, if one was.
      test_looks: arm name -> how many settings of it have ever been scored on test in this folder, this one included.
    """

    folder: Path
    title: str
    config: Config
    baseline: str
    arms: Sequence[StudiedArm]
    seconds: Mapping[str, float]
    peak_rss_bytes: int
    commands: Sequence[str]
    logs: Mapping[str, Any] | None = None
    exported: Mapping[str, Any] | None = None
    test_looks: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def save(self) -> None:
        """Writes ``study.json`` into the folder; paths below the folder are stored relative to it, so it may move."""
        arms = [dataclasses.asdict(arm) | {"runs": [self._described(run) for run in arm.runs]} for arm in self.arms]
        content = {name: getattr(self, name) for name in _PLAIN}
        write_manifest(self.folder, STUDY_KIND, {**content, "config": self.config.resolved(), "arms": arms}, name=FILE)

    @classmethod
    def open(cls, folder: Path) -> Study:
        """Reads what ``save`` wrote.

        Raises:
          UserError: the folder holds no finished study, or one of another version.
        """
        content = read_manifest(folder, STUDY_KIND, name=FILE)
        try:
            return cls(folder=folder, config=parse_config(content["config"], (), origin=str(folder / FILE)),
                       arms=tuple(_arm(folder, arm) for arm in content["arms"]),
                       **{name: content[name] for name in _PLAIN})
        except (KeyError, TypeError) as error:
            raise UserError(f"{str(folder / FILE)!r} is no study of this version ({error!r}): run the command that "
                            "wrote it again") from error

    def _described(self, run: Run) -> dict[str, Any]:
        paths = {name: getattr(run, name) for name in _PATHS}
        return {"seed": run.seed, **{name: path and path_in(self.folder, path) for name, path in paths.items()}}


_PLAIN = ("title", "baseline", "seconds", "peak_rss_bytes", "commands", "logs", "exported", "test_looks")
_PATHS = ("ranker", "embeddings", "dataset")


def path_in(folder: Path, path: Path) -> str:
    """A path as it is written down: relative to a study's folder where it lies below it, else absolute."""
    absolute, inside = path.absolute(), folder.absolute()
    return str(absolute.relative_to(inside) if absolute.is_relative_to(inside) else absolute)


def _arm(folder: Path, arm: Mapping[str, Any]) -> StudiedArm:
    runs = tuple(Run(run["seed"], **{name: run[name] and folder / run[name] for name in _PATHS}) for run in arm["runs"])
    return StudiedArm(arm["name"], arm["settings"], runs, tuple(Trial(**trial) for trial in arm["trials"]),
                      tuple(Failure(**failure) for failure in arm["failures"]))
