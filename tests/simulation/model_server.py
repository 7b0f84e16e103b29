"""A model server: loaded versions, labels, and the signatures that change a loaded version.

It follows TensorFlow Serving where the product depends on it: a models.config in which an existing label names a
version that is not loaded is refused as a whole.
"""

from pathlib import Path

import numpy as np
from live_loading import LiveVersion, load_version
from live_model import RefusedError
from served_version import ServedVersion

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import RequestError
from tfrs_pretrain.serving.labels.models_config import folder_of, model_entry
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA, DELTA_VERSION


class ModelServer:
    """One model on one server.

    Args:
      config: path of the models.config.
      name: name of the model.
    """

    address = "the model server"

    def __init__(self, config: Path, name: str):
        self._config, self._name = config, name
        self.loaded: dict[int, ServedVersion | LiveVersion] = {}
        self.labels: dict[str, int] = {}

    def poll(self):
        """Reads the models.config and applies it, unless it must be refused."""
        entry = model_entry(self._config, self._name)
        labels, selected = dict(entry.version_labels), set(entry.model_version_policy.specific.versions)
        folder = folder_of(entry, self._config)
        if any(label in self.labels and version not in self.loaded for label, version in labels.items()):
            return
        for version in selected - self.loaded.keys():
            if (folder / str(version) / "saved_model.pb").is_file():
                self.loaded[version] = load_version(folder / str(version))
        self.loaded = {version: found for version, found in self.loaded.items() if version in selected}
        if all(version in self.loaded for version in labels.values()):
            self.labels = labels

    def restart(self):
        """Loads everything again: applied deltas are lost."""
        self.loaded, self.labels = {}, {}
        self.poll()

    def predict(self, version: int, request):
        """Answers a request to a loaded version.

        Raises:
          RequestError: it is refused.
        """
        found = self.loaded[version]
        if request.signature not in (APPLY_DELTA, DELTA_VERSION):
            return found.answer(request.signature, {name: _texts(values) for name, values in request.inputs.items()})
        if isinstance(found, ServedVersion):
            raise RequestError("FAILED_PRECONDITION", "serving signature key not found", self.address)
        try:
            answer = (found.model.delta_version() if request.signature == DELTA_VERSION
                      else found.update(request.inputs))
        except RefusedError as error:
            raise RequestError("INVALID_ARGUMENT", "; ".join(error.reasons), self.address) from error
        return {name: np.array(value, object if isinstance(value, bytes) else None) for name, value in answer.items()}

    def wait_until_available(self, version: int):
        """Polls once; the version must be loaded then."""
        self.poll()
        if version not in self.loaded:
            raise UserError(f"version {version} is not loaded")

    def wait_until_labels(self, labels):
        """Polls once; the labels must be applied then."""
        self.poll()
        if self.labels != dict(labels):
            raise UserError(f"labels are {self.labels}, expected {dict(labels)}")


def _texts(values):
    """Texts instead of bytes."""
    if values.dtype != object:
        return values
    return np.array([value.decode() if isinstance(value, bytes) else value for value in values.flat],
                    object).reshape(values.shape)
