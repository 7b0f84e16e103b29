"""What was trained, arm by arm and seed by seed: handed from whoever ran it to whoever judges and reports it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.config import Config


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
