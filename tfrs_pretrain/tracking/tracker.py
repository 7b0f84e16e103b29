"""The interface of a tracker, and what it learns about a stage."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tfrs_pretrain.artifact_names import DATASET_INFO, EXTRA_ASSETS, MANIFEST
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import json_digest, parse_document, without_digest

Status = Literal["finished", "failed", "stopped"]


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A folder that a stage reads or writes.

    Attributes:
      path: the folder, or the URL of logs.
      digest: digest of its manifest's content; None: it has no manifest.
      manifest: the manifest.
      file: path of the manifest.
    """

    path: str
    digest: str | None = None
    manifest: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    file: Path | None = None

    @classmethod
    def of(cls, path: Path | str) -> Artifact:
        """Reads the manifest of a folder, if there is one that can be read."""
        for name in (MANIFEST, DATASET_INFO, f"{EXTRA_ASSETS}/{MANIFEST}"):
            file = Path(path) / name
            try:
                manifest = without_digest(parse_document(file.read_bytes(), file))
            except (OSError, UserError):
                continue
            return cls(str(path), json_digest(manifest), manifest, file)
        return cls(str(path))

    @property
    def metrics(self) -> dict[str, float]:
        """Numbers in the manifest's ``metrics`` and in its last epoch."""
        epochs = self.manifest.get("epochs") or [{}]
        return flat_numbers({"": epochs[-1], **(self.manifest.get("metrics") or {})})

    @property
    def counters(self) -> dict[str, float]:
        """Numbers of rows that the Beam jobs counted."""
        return flat_numbers(self.manifest.get("counts") or {})


def flat_numbers(tree: Any, prefix: str = "") -> dict[str, float]:
    """Returns the finite numbers of nested mappings, by their keys joined with dots."""
    if isinstance(tree, Mapping):
        return {name: number for key, value in tree.items()
                for name, number in flat_numbers(value, f"{prefix}.{key}" if prefix else str(key)).items()}
    is_number = isinstance(tree, (int, float)) and not isinstance(tree, bool) and abs(tree) < float("inf")
    return {prefix: float(tree)} if is_number else {}


@dataclasses.dataclass(frozen=True)
class StageStart:
    """A stage that begins.

    Attributes:
      stage: name of its command, such as "pretrain".
      name: name of the configuration.
      config: the resolved configuration.
      inputs: role, such as "dataset" -> artifact.
    """

    stage: str
    name: str
    config: Mapping[str, Any]
    inputs: Mapping[str, Artifact]


@dataclasses.dataclass(frozen=True)
class StageEnd:
    """A stage that has ended.

    Attributes:
      status: "finished", "failed", or "stopped" by a signal.
      seconds: wall-clock time of this process.
      output: what it wrote.
      error: the error in one line; None: it has none.
    """

    status: Status
    seconds: float
    output: Artifact
    error: str | None = None


class Tracker(abc.ABC):
    """Records one stage. Methods are called in order, in a thread of their own; what they raise ends the tracking."""

    @abc.abstractmethod
    def start(self, start: StageStart) -> None:
        """Called once, first."""

    @abc.abstractmethod
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Called with metrics of training after some steps."""

    @abc.abstractmethod
    def end(self, end: StageEnd) -> None:
        """Called once, last."""
