"""Loading of exported versions, with or without live updates, from the stand-in of a SavedModel."""

import json

import numpy as np
from live_model import LiveModel, Places
from served_version import SIGNATURES, ServedVersion, embeddings
from standin_tensorflow import VALUE, CheckpointReader

from tfrs_pretrain.serving.live.push_secret import KeyDigest

NUM_PLACES = 24  # too few to change all rows of the largest vocabulary at once


def load_version(folder):
    """A version as a server has it in memory: ``ServedVersion`` or ``LiveVersion``."""
    live = json.loads((folder / "saved_model.pb").read_text())["live"]
    loaded = ServedVersion.load(folder)
    return LiveVersion(folder, loaded, live) if live else loaded


class LiveVersion:
    """A loaded version that takes live updates.

    Attributes:
      model: what the updates change.
      is_partial: a part of a delta is visible.
    """

    def __init__(self, folder, loaded, live):
        variables = CheckpointReader(folder / "variables" / "variables").values
        places, tables = {}, {}
        for name, rows in loaded.lookups.items():
            known = {key.encode() if isinstance(key, str) else key: row for key, row in rows.items()
                     if not loaded.stands_for_free_row(name, key, row)}  # its entry is 0
            places[name] = Places(known, loaded.oov_rows[name], NUM_PLACES)
            tables[name] = (name, _with_spare(variables[f"_tables/{name}/_rows{VALUE}"]),
                            _with_spare(variables.get(f"_tables/{name}/_scales{VALUE}")))
        self.model = LiveModel(places, tables, loaded.weights, KeyDigest.from_json(live["key"]),
                               variables[f"_version{VALUE}"].item().decode())
        self.is_partial = False

    @property
    def delta_version(self):
        """Version of the served rows and weights."""
        return self.model.version

    def update(self, inputs):
        """Applies one chunk, see ``LiveModel.apply_delta``."""
        answer = self.model.apply_delta(inputs)
        if inputs["commit"].item():
            self.is_partial = "#" in self.delta_version
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


def _with_spare(rows):
    return None if rows is None else np.pad(rows, ((0, NUM_PLACES - len(rows)), (0, 0)))


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
