"""A finished study: its arms and runs, passed from the demo or an experiment to the results and the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import STUDY_KIND
from tfrs_pretrain.artifacts import manifest_text, read_manifest, write_text
from tfrs_pretrain.config import Config, parse_config
from tfrs_pretrain.errors import UserError

FILE = "study.json"


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished run: one arm with one seed.

    Attributes:
      seed: seed of Stage I and Stage II.
      ranker: output folder of ``train_arm``, with test impressions scored.
      embeddings: output folder of ``pretrain``. None: the arm uses no pretrained rows.
      dataset: output folder of the Beam jobs.
    """

    seed: int
    ranker: Path
    embeddings: Path | None
    dataset: Path


@dataclasses.dataclass(frozen=True)
class Trial:
    """One candidate of an arm's settings, evaluated on validation only.

    Attributes:
      settings: dotted configuration key -> value; keys below ``arm.`` belong to the arm.
      seed: seed of the trial.
      validation: metric -> value.
    """

    settings: Mapping[str, Any]
    seed: int
    validation: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A run that failed, with a one-line reason."""

    seed: int
    reason: str


@dataclasses.dataclass(frozen=True)
class StudiedArm:
    """One way to train.

    Attributes:
      name: unique in the study.
      settings: dotted configuration key -> value, where the arm differs from the study's configuration.
      runs: one per seed, in the order of seeds, without the failed ones.
      trials: candidates that the settings were chosen from. Empty: there was one candidate.
      failures: failed runs.
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
      folder: output folder of results and report.
      title: title of the report.
      config: configuration that all arms share.
      baseline: name of the arm that the others are compared with.
      arms: in the order of the report, including the baseline.
      seconds: wall-clock seconds by part.
      peak_rss_bytes: peak memory of the largest process.
      commands: shell commands that reproduce the study.
      logs: manifest of generated raw logs; its ``exposures`` says how impressions were derived. None: provided logs.
      exported: manifest of the exported version. None: nothing was exported.
      test_evaluations: arm name -> number of its settings ever evaluated on test in this folder.
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
    test_evaluations: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def save(self) -> None:
        """Write ``study.json``. Paths below the folder are stored relative to it, so the folder can be moved."""
        arms = [dataclasses.asdict(arm) | {"runs": [self._run_json(run) for run in arm.runs]} for arm in self.arms]
        content = {name: getattr(self, name) for name in _PLAIN}
        write_text(self.folder / FILE, manifest_text(STUDY_KIND, {
            **content, "config": self.config.resolved(), "arms": arms}))

    @classmethod
    def open(cls, folder: Path) -> Study:
        """Read the study that ``save`` wrote.

        Raises:
          UserError: the folder contains no finished study, or one of another version.
        """
        content = read_manifest(folder, STUDY_KIND, name=FILE)
        try:
            return cls(folder=folder, config=parse_config(content["config"], (), origin=str(folder / FILE)),
                       arms=tuple(_arm(folder, arm) for arm in content["arms"]),
                       **{name: content[name] for name in _PLAIN})
        except (KeyError, TypeError) as error:
            raise UserError(f"{str(folder / FILE)!r} is not a study of this version ({error!r}): run the command that "
                            "wrote it again") from error

    def _run_json(self, run: Run) -> dict[str, Any]:
        paths = {name: getattr(run, name) for name in _PATHS}
        return {"seed": run.seed, **{name: path and path_in(self.folder, path) for name, path in paths.items()}}


_PLAIN = ("title", "baseline", "seconds", "peak_rss_bytes", "commands", "logs", "exported", "test_evaluations")
_PATHS = ("ranker", "embeddings", "dataset")


def path_in(folder: Path, path: Path) -> str:
    """Return a path relative to a study's folder if it lies below it, else absolute."""
    absolute, inside = path.absolute(), folder.absolute()
    return str(absolute.relative_to(inside) if absolute.is_relative_to(inside) else absolute)


def _arm(folder: Path, arm: Mapping[str, Any]) -> StudiedArm:
    runs = tuple(Run(run["seed"], **{name: run[name] and folder / run[name] for name in _PATHS}) for run in arm["runs"])
    return StudiedArm(arm["name"], arm["settings"], runs, tuple(Trial(**trial) for trial in arm["trials"]),
                      tuple(Failure(**failure) for failure in arm["failures"]))
