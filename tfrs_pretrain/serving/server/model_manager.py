"""All models of a server: configuration, labels, and the look at the folders that finds new versions."""

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
from tfrs_pretrain.serving.server.model_versions import ModelVersions, Status
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS, RequestLimits

LOGGER = logging.getLogger(__name__)


class ModelManager:
    """Finds the model that a request is for, and keeps what is loaded in step with folders and configuration.

    Args:
      config: models, policies and labels.
      folder_of: where a model's versions lie on this machine.
      limits: of requests.
      read: gives the configuration as it is now, for servers whose configuration is a file; asked at every look.
    """

    def __init__(self, config: ModelServerConfig, folder_of: Callable[[ModelConfig], Path],
                 limits: RequestLimits = DEFAULT_LIMITS, read: Callable[[], ModelServerConfig | None] = lambda: None):
        self._folder_of, self._limits, self._read = folder_of, limits, read
        self._models: dict[str, ModelVersions] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._pending: ModelServerConfig | None = None
        self._lock, self._changing = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._poller: threading.Thread | None = None
        # At the start, as with --allow_version_labels_for_unavailable_models: labels are written before versions load.
        self._take(config, labels_of_unavailable=True)
        for name, versions in self._models.items():
            if not versions.available:
                LOGGER.warning("model %r has no version to serve in %s yet", name, versions.folder)

    @contextlib.contextmanager
    def used(self, spec: ModelSpec) -> Iterator[tuple[int, CheckedModel]]:
        """The version that a request names, which stays loaded while the body runs.

        Raises:
          Refused: NOT_FOUND, there is no such model or version; INVALID_ARGUMENT, no such label.
        """
        # Under one lock with the change of labels: a version is dropped only when no label leads to it any more.
        with self._lock:
            number, using = self._versions(spec).use(self._number(spec))
        with using as model:
            yield number, model

    def statuses(self, spec: ModelSpec) -> list[Status]:
        """State of the version that is asked for, or of all, newest first.

        Raises:
          Refused: as ``used``.
        """
        number = self._number(spec)
        found = [status for status in self._versions(spec).statuses() if number in (None, status[0])]
        if not found:
            raise StatusError("NOT_FOUND", f"could not find version {number} of model {spec.name!r}"
                          if number is not None
                          else f"could not find any versions of model {spec.name!r}")
        return found

    def look(self) -> None:
        """One look at configuration and folders."""
        try:
            self._pending = self._read() or self._pending
            if self._pending:
                self.reload(self._pending)
                self._pending = None
        except (UserError, StatusError) as why:  # tried again: what a label names may be there then
            LOGGER.warning("the configuration is not taken: %s", why)
        with self._changing:
            for versions in self._models.values():
                versions.update()

    def reload(self, config: ModelServerConfig) -> None:
        """Takes another configuration; labels move once the versions that they name are loaded.

        Raises:
          Refused: a label names a version that is not loaded; the labels stay as they were.
        """
        with self._changing:
            self._take(config, labels_of_unavailable=False)

    def watch(self, seconds: float) -> None:
        """Looks every so many seconds, in a thread of its own, until ``close``."""
        def poll() -> None:
            while not self._stop.wait(seconds):
                try:
                    self.look()
                except Exception:  # whatever it was, the models that are loaded go on answering
                    LOGGER.exception("a look at the models failed")

        self._poller = threading.Thread(target=poll, name="poll", daemon=True)
        self._poller.start()

    def close(self) -> None:
        """Stops looking and drops all models."""
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
        if spec.version_label:
            labels = self._labels.get(spec.name, {})
            if spec.version_label not in labels:
                raise invalid_argument(f"unrecognized servable version label: {spec.version_label!r} of model "
                                       f"{spec.name!r}")
            return labels[spec.version_label]
        return int(spec.version.value) if spec.HasField("version") else None

    def _take(self, config: ModelServerConfig, *, labels_of_unavailable: bool) -> None:
        asked = {model.name: model for model in config.model_config_list.config}
        models = {name: self._kept(model) or ModelVersions(model, self._folder_of(model), self._limits)
                  for name, model in asked.items()}
        for name, model in asked.items():
            models[name].load(model)
        if not labels_of_unavailable:
            for name, model in asked.items():
                _check_labels(model, models[name].available)
        with self._lock:
            gone = [versions for versions in self._models.values() if versions not in models.values()]
            self._models = models
            self._labels = {name: dict(model.version_labels) for name, model in asked.items()}
        for name, model in asked.items():
            models[name].settle(model)
        for versions in gone:
            versions.close()

    def _kept(self, model: ModelConfig) -> ModelVersions | None:
        versions = self._models.get(model.name)
        return versions if versions and versions.config.base_path == model.base_path else None


def _check_labels(model: ModelConfig, available: list[int]) -> None:
    for label, number in model.version_labels.items():
        if number not in available:
            raise StatusError("FAILED_PRECONDITION", f"label {label!r} of model {model.name!r} names version {number}, "
                          "which is not available")
