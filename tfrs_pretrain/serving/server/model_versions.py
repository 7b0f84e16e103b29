"""The versions of one model: which ones should be loaded, which are loaded, and the change between the two sets."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, SAVED_MODEL_FILE
from tfrs_pretrain.artifacts import check_saved_model
from tfrs_pretrain.serving.protocol.messages import ModelConfig, ModelVersionStatus
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import StatusError, translated_errors
from tfrs_pretrain.serving.server.inference import replay
from tfrs_pretrain.serving.server.request_limits import RequestLimits
from tfrs_pretrain.serving.version_folder import WARMUP

LOGGER = logging.getLogger(__name__)
State = ModelVersionStatus.State


class VersionState(NamedTuple):
    """Number of a version, its ``ModelVersionStatus.State``, and why it failed to load (None: it did not fail)."""

    number: int
    state: int
    error: StatusError | None = None


class _LoadedVersion:
    """A loaded version and the number of requests that use it."""

    def __init__(self, model: CheckedModel):
        self.model, self.users, self.idle = model, 0, threading.Condition()

    def use(self) -> contextlib.AbstractContextManager[CheckedModel]:
        """Returns a context manager of the model; the use counts from this call on, not from ``__enter__``."""
        with self.idle:
            self.users += 1
        return self._until_done()

    @contextlib.contextmanager
    def _until_done(self) -> Iterator[CheckedModel]:
        try:
            yield self.model
        finally:
            with self.idle:
                self.users -= 1
                self.idle.notify_all()

    def close(self) -> None:
        """Waits until no request uses the version, then frees it."""
        with self.idle:
            self.idle.wait_for(lambda: self.users == 0)
        self.model.close()


@dataclasses.dataclass(frozen=True)
class _FailedLoad:
    """A version that failed to load, and the time (ns) when its graph was written: a newer graph is tried again."""

    graph_written: int
    error: StatusError


class ModelVersions:
    """The loaded versions of one model.

    Only one thread at a time may call ``update``, ``load`` and ``settle``; any thread may call the other methods.

    Args:
      config: entry of the model in models.config.
      folder: folder that contains the version folders.
      limits: limits on requests.
    """

    def __init__(self, config: ModelConfig, folder: Path, limits: RequestLimits):
        self.config, self.folder, self._limits = config, folder, limits
        self._lock = threading.Lock()
        self._loaded: dict[int, _LoadedVersion] = {}
        self._failed: dict[int, _FailedLoad] = {}
        self._unloaded: list[int] = []

    def use(self, number: int | None) -> tuple[int, contextlib.AbstractContextManager[CheckedModel]]:
        """Selects a version (None: the newest loaded one); it stays loaded until the returned context ends.

        Returns:
          Number of the version, and a context manager of its model.

        Raises:
          StatusError: NOT_FOUND, the version is not loaded.
        """
        with self._lock:
            chosen = max(self._loaded, default=-1) if number is None else number
            if chosen in self._loaded:
                return chosen, self._loaded[chosen].use()
        which = "any version" if number is None else f"version {number}"
        raise StatusError("NOT_FOUND", f"servable not found for request: {which} of model {self.config.name!r}")

    @property
    def available(self) -> list[int]:
        """Numbers of the loaded versions, ascending."""
        with self._lock:
            return sorted(self._loaded)

    def states(self) -> list[VersionState]:
        """Returns the state of every known version, newest first."""
        available, end = State.Value("AVAILABLE"), State.Value("END")
        with self._lock:
            known = {number: VersionState(number, end) for number in self._unloaded}
            known |= {number: VersionState(number, end, failed.error) for number, failed in self._failed.items()}
            known |= {number: VersionState(number, available) for number in self._loaded}
        return [known[number] for number in sorted(known, reverse=True)]

    def update(self) -> None:
        """Loads new versions and unloads those that the policy no longer selects."""
        self.load(self.config)
        self.settle(self.config)

    def load(self, config: ModelConfig) -> None:
        """Loads the versions that a configuration selects; unloads nothing."""
        for number in self._selected(config):
            self._load(number)

    def settle(self, config: ModelConfig) -> None:
        """Adopts a configuration and unloads the versions that it does not select.

        If none of the selected versions could be loaded, the old versions stay.
        """
        self.config, selected = config, self._selected(config)
        with self._lock:
            drop = [number for number in self._loaded if number not in selected]
            if len(drop) == len(self._loaded):
                return
            dropped = [self._loaded.pop(number) for number in drop]
            self._unloaded += drop
        for version in dropped:
            version.close()

    def close(self) -> None:
        """Unloads all versions; waits for their requests."""
        with self._lock:
            dropped, self._loaded = list(self._loaded.values()), {}
        for version in dropped:
            version.close()

    def _selected(self, config: ModelConfig) -> list[int]:
        """Numbers of the versions in the folder that the policy selects, ascending."""
        present = sorted(int(path.name) for path in self.folder.glob("*")
                         if path.name.isdecimal() and (path / SAVED_MODEL_FILE).is_file())
        policy = config.model_version_policy
        kind = policy.WhichOneof("policy_choice")
        if kind == "specific":
            return [number for number in present if number in policy.specific.versions]
        return present if kind == "all" else present[-(policy.latest.num_versions or 1):]

    def _load(self, number: int) -> None:
        folder = self.folder / str(number)
        with contextlib.suppress(FileNotFoundError):  # the folder was deleted since it was listed
            written = (folder / SAVED_MODEL_FILE).stat().st_mtime_ns
            failed = self._failed.get(number)
            if number in self._loaded or (failed and failed.graph_written == written):
                return
            try:
                with translated_errors():
                    check_saved_model(folder)
                    version = _LoadedVersion(_warmed_up(CheckedModel(folder, self._limits), folder))
            except StatusError as error:
                LOGGER.error("version %d of %s does not load: %s", number, self.config.name, error)
                with self._lock:
                    self._failed[number] = _FailedLoad(written, error)
                return
            LOGGER.info("version %d of %s is available", number, self.config.name)
            with self._lock:
                self._loaded[number] = version
                self._failed.pop(number, None)
                self._unloaded = [other for other in self._unloaded if other != number]


def _warmed_up(model: CheckedModel, folder: Path) -> CheckedModel:
    """Returns the model after its warm-up requests; a failing request stops the load, as in TensorFlow Serving."""
    if (folder / EXTRA_ASSETS / WARMUP).is_file():
        for log in read_prediction_logs(folder / EXTRA_ASSETS / WARMUP):
            replay(model, log)
    return model
