"""Tracking of the stage that runs in this process."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.config import Config
from tfrs_pretrain.extras import require
from tfrs_pretrain.tracking.background import CLOSING_SECONDS, Background
from tfrs_pretrain.tracking.tracker import Artifact, StageEnd, StageStart, Status, Tracker


class TrackedStage:
    """The stage that is being tracked.

    Attributes:
      output: folder that the stage writes; set it when it is known.
    """

    def __init__(self, trackers: list[Background], output: Path | str):
        self._trackers, self.output = trackers, output

    def send(self, event: str, *arguments: Any) -> None:
        """Calls a method of each tracker."""
        for tracker in self._trackers:
            tracker.send(event, *arguments)

    def close(self) -> None:
        """Waits for the trackers, all together for a few seconds at most."""
        deadline = time.monotonic() + CLOSING_SECONDS
        for tracker in self._trackers:
            tracker.close(deadline)


_current: list[TrackedStage] = []


def log_scalars(step: int, values: Mapping[str, float | None]) -> None:
    """Passes metrics of training to the trackers of the running stage; does nothing without one."""
    for stage in _current[-1:]:
        stage.send("scalars", step, {name: float(value) for name, value in values.items() if value is not None})


@contextlib.contextmanager
def track(config: Config, stage: str, output: Path | str, **inputs: Path | str | None) -> Iterator[TrackedStage]:
    """Tracks the stage that runs in the body, as ``config.tracking`` says.

    On several machines, the process of the first one tracks.

    Args:
      config: configuration of the run.
      stage: name of its command.
      output: folder that it writes.
      inputs: role -> folder or URL that it reads; None is left out.

    Raises:
      MissingExtraError: a configured tracker needs a package.
    """
    configured = config.tracking.configured if _is_first_worker() else {}
    for name in configured:
        require(f"tracking.{name}", name)
    trackers = [Background(name, _creator(name, settings)) for name, settings in configured.items()]
    tracked = TrackedStage(trackers, output)
    if configured:
        tracked.send("start", StageStart(stage, config.name, config.resolved(), {
            role: Artifact.of(path) for role, path in inputs.items() if path is not None}))
    _current.append(tracked)
    started = time.monotonic()
    status: Status = "finished"
    error: str | None = None
    try:
        yield tracked
    except BaseException as failure:
        status = "failed" if isinstance(failure, Exception) else "stopped"
        error = f"{type(failure).__name__}: {' '.join(str(failure).split())}"
        raise
    finally:
        _current.remove(tracked)
        if configured:
            tracked.send("end", _end(status, time.monotonic() - started, tracked.output, error))
            tracked.close()


def _end(status: Status, seconds: float, output: Path | str, error: str | None) -> StageEnd:
    return StageEnd(status, seconds, Artifact.of(output) if status == "finished" else Artifact(str(output)), error)


def _creator(name: str, settings: Any) -> Callable[[], Tracker]:
    def create() -> Tracker:
        module = importlib.import_module(f"tfrs_pretrain.tracking.{name}_tracker")
        tracker: Tracker = module.TRACKER(settings)
        return tracker

    return create


def _is_first_worker() -> bool:
    """Whether this process is the first one of TF_CONFIG, or the only one."""
    try:
        content = json.loads(os.environ.get("TF_CONFIG") or "{}")
        kind, index = content["task"]["type"], int(content["task"]["index"])
        return kind == ("chief" if "chief" in content["cluster"] else "worker") and index == 0
    except (ValueError, KeyError, TypeError):
        return True
