"""Loading of exported versions, with or without live updates, from the stand-in of a SavedModel."""

import json

from live_model import LiveModel, Places
from served_version import SIGNATURES, ServedVersion, embeddings
from standin_tensorflow import VALUE, CheckpointReader

from tfrs_pretrain.serving.live.push_secret import KeyDigest


def load_version(folder):
    """A version as a server has it in memory: ``ServedVersion`` or ``LiveVersion``."""
    live = json.loads((folder / "saved_model.pb").read_text())["live"]
    return LiveVersion(folder, live) if live else ServedVersion.load(folder)


class LiveVersion:
    """A loaded version that takes live updates.

    Attributes:
      model: what the updates change.
      is_partial: a part of a delta is visible.
    """

    def __init__(self, folder, live):
        graph = json.loads((folder / "saved_model.pb").read_text())
        variables = CheckpointReader(folder / "variables" / "variables").values
        tables = {name: (name, variables[f"_tables/{name}/_rows{VALUE}"],
                         variables.get(f"_tables/{name}/_scales{VALUE}")) for name in graph["lookups"]}
        places = {name: self._places(lookup, len(tables[name][1])) for name, lookup in graph["lookups"].items()}
        dense = [variables[f"_dense/{number}{VALUE}"] for number in range(2)]
        self.is_partial = False
        self.model = LiveModel(places, tables, dense, KeyDigest.from_json(live["key"]), live["token"])

    @staticmethod
    def _places(lookup, num_places):
        rows = {key.encode() if isinstance(key, str) else key: row for key, row in lookup["entries"]}
        found = Places(rows, lookup["oov_rows"], num_places)
        assert found.free_since.tolist() == lookup["free_since"], "the exported model has other free places"
        return found

    @property
    def deltas(self):
        """Version of the served rows and weights."""
        return self.model.version

    def update(self, inputs):
        """Applies one chunk, see ``LiveModel.apply_delta``."""
        answer = self.model.apply_delta(inputs)
        if inputs["commit"].item():
            self.is_partial = "#" in self.deltas
        return answer

    def seen(self, epoch=None):
        """The ``ServedVersion`` that a request sees which has read this epoch (None: the present one)."""
        found = self.model.snapshot(epoch)
        return ServedVersion(found.lookups, {name: embeddings(*rows) for name, rows in found.tables.items()},
                             {name: len(places.shared) for name, places in self.model.places.items()}, found.dense)

    def content(self):
        """See ``ServedVersion.content``."""
        return self.seen().content()

    def answer(self, signature, inputs):
        """See ``ServedVersion.answer``."""
        return self.seen().answer(signature, inputs)


class LoadedModel:
    """The stand-in of the session loader."""

    signatures = tuple(SIGNATURES)

    def __init__(self, folder):
        self._folder = folder

    def __enter__(self):
        self._served = load_version(self._folder)
        return self

    def __exit__(self, *_):
        pass

    def answer(self, signature, inputs):
        """Answers a request."""
        return self._served.answer(signature, inputs)
