"""A model server: loaded versions, labels, and deltas that are applied to a loaded version.

It follows TensorFlow Serving where the product depends on it: a models.config in which an existing label names a
version that is not loaded is refused as a whole.
"""

import dataclasses
from pathlib import Path

from served_version import ServedVersion

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.serving.deltas.chain import read_chain
from tfrs_pretrain.serving.labels.models_config import folder_of, model_entry
from tfrs_pretrain.serving.version_folder import read_version


@dataclasses.dataclass
class Loaded:
    """A loaded version.

    Attributes:
      version: what it answers with.
      state: the state that deltas change; None until the first one.
      digest: digest of the manifest that it was loaded from, or of the last applied delta.
      deltas: number of applied deltas.
    """

    version: ServedVersion
    state: object
    digest: str
    deltas: int = 0


class ModelServer:
    """One model on one server.

    Args:
      config: path of the models.config.
      name: name of the model.
    """

    address = "the model server"

    def __init__(self, config: Path, name: str):
        self._config, self._name = config, name
        self.loaded: dict[int, Loaded] = {}
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
                self.loaded[version] = self._load(folder / str(version))
        self.loaded = {version: found for version, found in self.loaded.items() if version in selected}
        if all(version in self.loaded for version in labels.values()):
            self.labels = labels

    def restart(self):
        """Loads everything again: applied deltas are lost."""
        self.loaded, self.labels = {}, {}
        self.poll()

    def push(self, base: Path):
        """Applies the deltas of a version that it has not yet. The caller is ``tfrs-pretrain push``."""
        chain, found = read_chain(base), self.loaded[int(base.name)]
        for delta in chain.deltas[found.deltas:]:
            self.apply(int(base.name), delta)

    def apply(self, version: int, delta):
        """Applies one delta.

        Raises:
          UserError: it does not follow what the server has.
        """
        found = self.loaded[version]
        if delta.manifest["predecessor"] != found.digest:
            raise UserError(f"delta {delta.number} does not follow the state of version {version}")
        state = delta.apply(found.state())
        delta.check_tables(state)
        self.loaded[version] = Loaded(ServedVersion.of_state(state), lambda: state, delta.digest, found.deltas + 1)

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

    @staticmethod
    def _load(folder):
        manifest = read_version(folder)

        def state():
            return read_chain(folder).base_state()

        return Loaded(ServedVersion.load(folder), state, json_digest(manifest))
