"""A finished stream: arms that were carried over windows, passed from the experiment to the results and the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import STREAM_KIND
from tfrs_pretrain.artifacts import manifest_text, read_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.study import Failure, path_in

FILE = "stream.json"


@dataclasses.dataclass(frozen=True)
class Step:
    """The ranker of one window.

    Attributes:
      ranker: its folder, with predictions of the window that it is judged on.
      dataset: folder of its dataset.
      seconds: part of the work -> seconds: "stage_one" of the rows that this window needed newly, "stage_two".
    """

    ranker: Path
    dataset: Path
    seconds: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class StreamedArm:
    """One way to train.

    Attributes:
      name: unique in the stream.
      settings: dotted key -> value, where the arm differs from the stream's configuration.
      runs: seed -> one step for each window but the last, in order; only seeds that finished.
      trials: settings and mean log loss over the choosing windows of each candidate. Empty: there was one.
      failures: failed seeds and candidates.
    """

    name: str
    settings: Mapping[str, Any]
    runs: Mapping[int, Sequence[Step]]
    trials: Sequence[Mapping[str, Any]] = ()
    failures: Sequence[Failure] = ()


@dataclasses.dataclass(frozen=True)
class StreamStudy:
    """A finished stream.

    Attributes:
      folder: output folder of results and report.
      title: title of the report.
      config: configuration that all arms share, JSON.
      stream: section ``stream`` of the experiment, JSON.
      windows: [start, end] of every window, as text.
      choosing: number of judged windows, from the first, on which settings were chosen.
      baseline: name of the arm that the others are compared with.
      arms: in the order of the report.
      seconds: wall-clock seconds by part.
      dataset_seconds: seconds of the dataset of each judged window.
      peak_rss_bytes: peak memory of the largest process.
      commands: shell commands that reproduce it.
      logs: manifest of generated logs; None: provided logs.
      evaluations: arm -> number of its settings ever evaluated on the later windows in this folder.
    """

    folder: Path
    title: str
    config: Mapping[str, Any]
    stream: Mapping[str, Any]
    windows: Sequence[Sequence[str]]
    choosing: int
    baseline: str
    arms: Sequence[StreamedArm]
    seconds: Mapping[str, float]
    dataset_seconds: Sequence[float]
    peak_rss_bytes: int
    commands: Sequence[str]
    logs: Mapping[str, Any] | None
    evaluations: Mapping[str, int]

    def save(self) -> None:
        """Write ``stream.json``. Paths below the folder are stored relative to it, so the folder can be moved."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)
                   if field.name not in ("folder", "arms")}
        write_text(self.folder / FILE, manifest_text(STREAM_KIND, {**content, "arms": [
            dataclasses.asdict(arm) | {"runs": [{"seed": seed, "steps": [self._step_json(step) for step in steps]}
                                                for seed, steps in arm.runs.items()]} for arm in self.arms]}))

    @classmethod
    def open(cls, folder: Path) -> StreamStudy:
        """Read the stream that ``save`` wrote.

        Raises:
          UserError: the folder contains no finished stream, or one of another version.
        """
        content = read_manifest(folder, STREAM_KIND, name=FILE)
        names = [field.name for field in dataclasses.fields(cls) if field.name not in ("folder", "arms")]
        try:
            return cls(folder=folder, arms=tuple(_arm(folder, arm) for arm in content["arms"]),
                       **{name: content[name] for name in names})
        except (KeyError, TypeError) as error:
            raise UserError(f"{str(folder / FILE)!r} is not a stream of this version ({error!r}): run the command that "
                            "wrote it again") from error

    def _step_json(self, step: Step) -> dict[str, Any]:
        return {"ranker": path_in(self.folder, step.ranker), "dataset": path_in(self.folder, step.dataset),
                "seconds": dict(step.seconds)}


def _arm(folder: Path, arm: Mapping[str, Any]) -> StreamedArm:
    runs = {run["seed"]: tuple(Step(folder / step["ranker"], folder / step["dataset"], step["seconds"])
                               for step in run["steps"]) for run in arm["runs"]}
    return StreamedArm(arm["name"], arm["settings"], runs, tuple(arm["trials"]),
                       tuple(Failure(**failure) for failure in arm["failures"]))
