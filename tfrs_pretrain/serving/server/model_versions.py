"""The versions of one model: which should be loaded, which are, and the change from one set to another."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, SAVED_MODEL_FILE
from tfrs_pretrain.serving.protocol.messages import ModelConfig, ModelVersionStatus
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import StatusError, translated_errors
from tfrs_pretrain.serving.server.inference import replay
from tfrs_pretrain.serving.server.request_limits import RequestLimits
from tfrs_pretrain.serving.version_folder import WARMUP

LOGGER = logging.getLogger(__name__)
State = ModelVersionStatus.State

Status = tuple[int, int, StatusError | None]  # number, state, why it failed


class _LoadedVersion:
    """One version with the requests that use it."""

    def __init__(self, model: CheckedModel):
        self.model, self.users, self.idle = model, 0, threading.Condition()

    def use(self) -> contextlib.AbstractContextManager[CheckedModel]:
        """Counted from this call on, not only from the context's begin."""
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
        """Waits for the requests that use it."""
        with self.idle:
            self.idle.wait_for(lambda: self.users == 0)
        self.model.close()


class ModelVersions:
    """What is loaded of one model.

    ``update`` is called by one thread at a time, the others by any.
    """

    def __init__(self, config: ModelConfig, folder: Path, limits: RequestLimits):
        self.config, self.folder, self._limits = config, folder, limits
        self._lock = threading.Lock()
        self._loaded: dict[int, _LoadedVersion] = {}
        self._failed: dict[int, tuple[object, StatusError]] = {}
        self._gone: list[int] = []

    def use(self, number: int | None) -> tuple[int, contextlib.AbstractContextManager[CheckedModel]]:
        """A version (None: the newest), counted as used until the context ends.

        Raises:
          Refused: NOT_FOUND, it is not loaded.
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

    def statuses(self) -> list[Status]:
        """What is known of each version, newest first."""
        with self._lock:
            known: dict[int, Status] = {number: (number, State.Value("END"), None) for number in self._gone}
            known |= {number: (number, State.Value("END"), why) for number, (_, why) in self._failed.items()}
            known |= {number: (number, State.Value("AVAILABLE"), None) for number in self._loaded}
        return [known[number] for number in sorted(known, reverse=True)]

    def update(self) -> None:
        """Brings what is loaded in step with the folder."""
        self.load(self.config)
        self.settle(self.config)

    def load(self, config: ModelConfig) -> None:
        """Loads the versions that a configuration asks for beside those that there are."""
        for number in self._wanted(config):
            self._load(number)

    def settle(self, config: ModelConfig) -> None:
        """Takes the configuration and drops the versions that it does not ask for.

        Where none that it asks for could be loaded, the old ones stay.
        """
        self.config, wanted = config, self._wanted(config)
        with self._lock:
            drop = [number for number in self._loaded if number not in wanted]
            if len(drop) == len(self._loaded):
                return
            old = [self._loaded.pop(number) for number in drop]
            self._gone += drop
        for version in old:
            version.close()

    def close(self) -> None:
        """Drops all versions once their requests have ended."""
        with self._lock:
            old, self._loaded = list(self._loaded.values()), {}
        for version in old:
            version.close()

    def _wanted(self, config: ModelConfig) -> list[int]:
        """Numbers that the policy asks for and the folder has."""
        there = sorted(int(path.name) for path in self.folder.glob("*")
                       if path.name.isdecimal() and (path / SAVED_MODEL_FILE).is_file())
        policy = config.model_version_policy
        kind = policy.WhichOneof("policy_choice")
        if kind == "specific":
            return [number for number in there if number in policy.specific.versions]
        return there if kind == "all" else there[-(policy.latest.num_versions or 1):]

    def _load(self, number: int) -> None:
        folder = self.folder / str(number)
        with contextlib.suppress(FileNotFoundError):
            written = (folder / SAVED_MODEL_FILE).stat().st_mtime_ns
            if number in self._loaded or self._failed.get(number, (None,))[0] == written:
                return
            try:
                with translated_errors():
                    version = _LoadedVersion(_warmed_up(CheckedModel(folder, self._limits), folder))
            except StatusError as why:
                LOGGER.error("version %d of %s does not load: %s", number, self.config.name, why)
                with self._lock:
                    self._failed[number] = (written, why)
                return
            LOGGER.info("version %d of %s is available", number, self.config.name)
            with self._lock:
                self._loaded[number] = version
                self._failed.pop(number, None)
                self._gone = [gone for gone in self._gone if gone != number]


def _warmed_up(model: CheckedModel, folder: Path) -> CheckedModel:
    """The model after the requests that lie beside it; one that fails stops the load, as in TensorFlow Serving."""
    if (folder / EXTRA_ASSETS / WARMUP).is_file():
        for log in read_prediction_logs(folder / EXTRA_ASSETS / WARMUP):
            replay(model, log)
    return model


