"""All models of a server: configuration, version labels, and polling of the folders for new versions."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.messages import ModelConfig, ModelServerConfig, ModelSpec
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import StatusError, invalid_argument
from tfrs_pretrain.serving.server.model_versions import ModelVersions, VersionState
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS, RequestLimits

LOGGER = logging.getLogger(__name__)


class ModelManager:
    """Finds the model of a request, and keeps the loaded versions in step with folders and configuration.

    Args:
      config: models, version policies and labels.
      folder_of: returns the folder of a model's versions on this machine.
      limits: limits on requests.
      read_change: returns the configuration if it changed since the last call, else None; called at every poll.
    """

    def __init__(self, config: ModelServerConfig, folder_of: Callable[[ModelConfig], Path],
                 limits: RequestLimits = DEFAULT_LIMITS,
                 read_change: Callable[[], ModelServerConfig | None] = lambda: None):
        self._folder_of, self._limits, self._read_change = folder_of, limits, read_change
        self._models: dict[str, ModelVersions] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._pending: ModelServerConfig | None = None
        # _lock guards the two dicts and is held briefly; _changing serializes loading and unloading.
        self._lock, self._changing = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._poller: threading.Thread | None = None
        self._apply(config)
        for name, versions in self._models.items():
            if not versions.available:
                LOGGER.warning("model %r has no version to serve in %s yet", name, versions.folder)

    @contextlib.contextmanager
    def used(self, spec: ModelSpec) -> Iterator[tuple[int, CheckedModel]]:
        """Yields number and model of the version that a request names; it stays loaded while the body runs.

        Raises:
          StatusError: NOT_FOUND, there is no such model or version; INVALID_ARGUMENT, there is no such label.
        """
        # Label lookup and use happen under the lock that label changes take, so a label never leads to a version that
        # is being unloaded.
        with self._lock:
            number, using = self._versions(spec).use(self._number(spec))
        with using as model:
            yield number, model

    def states(self, spec: ModelSpec) -> list[VersionState]:
        """Returns the state of the requested version, or of all versions, newest first.

        Raises:
          StatusError: see ``used``.
        """
        number = self._number(spec)
        states = [state for state in self._versions(spec).states() if number in (None, state.number)]
        if not states:
            which = "any versions" if number is None else f"version {number}"
            raise StatusError("NOT_FOUND", f"could not find {which} of model {spec.name!r}")
        return states

    def poll(self) -> None:
        """Reads a changed configuration, then loads and unloads versions."""
        try:
            self._pending = self._read_change() or self._pending
            if self._pending:
                self.reload(self._pending)
                self._pending = None
        except (UserError, StatusError) as error:  # a pending configuration is tried again at the next poll
            LOGGER.warning("the new configuration is not applied: %s", error)
        with self._changing:
            for versions in self._models.values():
                versions.update()

    def reload(self, config: ModelServerConfig) -> None:
        """Applies a configuration, unless it moves a label to a version that is not loaded.

        Labels are checked before any version is loaded, as in TensorFlow Serving with
        ``--allow_version_labels_for_unavailable_models``: new and unchanged labels may name a version that is not
        loaded.

        Raises:
          StatusError: FAILED_PRECONDITION, an existing label moves to a version that is not loaded; nothing changes.
        """
        with self._changing:
            for model in config.model_config_list.config:
                self._check_labels(model)
            self._apply(config)

    def watch(self, seconds: float) -> None:
        """Polls in a background thread until ``close``.

        Args:
          seconds: time between two polls.
        """
        def poll_until_stopped() -> None:
            while not self._stop.wait(seconds):
                try:
                    self.poll()
                except Exception:  # the loaded models must keep answering, whatever happened
                    LOGGER.exception("polling the models failed")

        self._poller = threading.Thread(target=poll_until_stopped, name="poll", daemon=True)
        self._poller.start()

    def close(self) -> None:
        """Stops polling and unloads all models."""
        self._stop.set()
        if self._poller:
            self._poller.join()
        for versions in self._models.values():
            versions.close()

    def _versions(self, spec: ModelSpec) -> ModelVersions:
        if not spec.name:
            raise invalid_argument("missing ModelSpec.name")
        if spec.name not in self._models:
            raise StatusError("NOT_FOUND", f"servable not found for request: model {spec.name!r}")
        return self._models[spec.name]

    def _number(self, spec: ModelSpec) -> int | None:
        """Number of the requested version; None: the newest."""
        if spec.version_label:
            labels = self._labels.get(spec.name, {})
            if spec.version_label not in labels:
                raise invalid_argument(f"unrecognized servable version label: {spec.version_label!r} of model "
                                       f"{spec.name!r}")
            return labels[spec.version_label]
        return int(spec.version.value) if spec.HasField("version") else None

    def _check_labels(self, model: ModelConfig) -> None:
        """Refuses an entry that moves an existing label to a version that is not loaded."""
        existing, versions = self._labels.get(model.name, {}), self._models.get(model.name)
        available = versions.available if versions else []
        for label, number in model.version_labels.items():
            if existing.get(label, number) != number and number not in available:
                raise StatusError("FAILED_PRECONDITION", f"label {label!r} of model {model.name!r} names version "
                                  f"{number}, which is not available")

    def _apply(self, config: ModelServerConfig) -> None:
        """Loads new versions, switches models and labels, then unloads old versions: requests never find a gap."""
        entries = {model.name: model for model in config.model_config_list.config}
        models = {name: self._reusable(model) or ModelVersions(model, self._folder_of(model), self._limits)
                  for name, model in entries.items()}
        for name, model in entries.items():
            models[name].load(model)
        with self._lock:
            removed = [versions for versions in self._models.values() if versions not in models.values()]
            self._models = models
            self._labels = {name: dict(model.version_labels) for name, model in entries.items()}
        for name, model in entries.items():
            models[name].settle(model)
        for versions in removed:
            versions.close()

    def _reusable(self, model: ModelConfig) -> ModelVersions | None:
        versions = self._models.get(model.name)
        return versions if versions and versions.config.base_path == model.base_path else None
