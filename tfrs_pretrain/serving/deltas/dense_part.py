"""The dense part of a served model: the network, the prediction of unknown ids, the statistics of numbers.

::

    network.keras          the dense network
    cold_rows.npz          prediction of the rows of unknown ids, if the model has one
    ranker_manifest.json   manifest of the ranker: inputs, numeric statistics, labels
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import COLD_ROWS_FILE, NETWORK_FILE, RANKER_KIND
from tfrs_pretrain.artifacts import manifest_text, read_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.cold_rows import ColdRule, load_cold_rules
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.ranker import Ranker, build_ranker
from tfrs_pretrain.ranking.model.saved_network import load_network

RANKER_MANIFEST = "ranker_manifest.json"
# Keys of a Keras configuration that do not determine what the network computes from its weights.
UNIMPORTANT = ("name", "seed", "kernel_initializer", "bias_initializer", "trainable", "build_config")


class DensePart:
    """The dense part in a folder.

    Args:
      network: path of the network.
      cold_rows: path of the prediction of unknown ids; None: there is none.
      manifest: manifest of the ranker.
    """

    def __init__(self, network: Path, cold_rows: Path | None, manifest: Mapping[str, Any]):
        self.manifest = dict(manifest)
        self._network, self._cold_rows = network, cold_rows

    @classmethod
    def read(cls, folder: Path, manifests: Path) -> DensePart:
        """Finds the dense part in checked folders.

        Args:
          folder: folder with the network.
          manifests: folder with the ranker's manifest.
        """
        cold_rows = folder / COLD_ROWS_FILE
        return cls(folder / NETWORK_FILE, cold_rows if cold_rows.is_file() else None,
                   read_manifest(manifests, RANKER_KIND, name=RANKER_MANIFEST))

    @property
    def inputs(self) -> Inputs:
        """Inputs of the ranker."""
        return Inputs.from_json(self.manifest["inputs"])

    @functools.cached_property
    def ranker(self) -> Ranker:
        """The ranker with tables of one row of zeros.

        Raises:
          UserError: the network cannot be read.
        """
        try:
            network = load_network(self._network)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{str(self._network)!r} cannot be read ({' '.join(str(error).split())}): export a full "
                            "version") from error
        tables = {name: np.zeros((1, 1), np.float32) for name in self.inputs.tables}
        return build_ranker(self.inputs, tables, network, labels=self.manifest["labels"], cold_rules=self._cold_rules)

    @property
    def _cold_rules(self) -> dict[str, ColdRule]:
        return load_cold_rules(self._cold_rows) if self._cold_rows else {}

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that training sets, by name."""
        weights = self.ranker.network.get_weights()
        arrays = {f"network/{number}": np.asarray(weight) for number, weight in enumerate(weights)}
        for space, rule in self._cold_rules.items():
            named = {"bias": rule.bias, **rule.values, **rule.numbers}
            arrays |= {f"cold_rows/{space}/{name}": np.asarray(value) for name, value in named.items()}
        return arrays | {f"numeric/{name}": np.array([spec.mean, spec.std])
                         for name, spec in self.inputs.numeric.items()}

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the arrays."""
        state = hashlib.sha256()
        for name, values in self.arrays.items():
            state.update(f"{name}:{values.dtype.str}:{values.shape}:".encode() + np.ascontiguousarray(values).tobytes())
        return state.hexdigest()

    @functools.cached_property
    def structure(self) -> str:
        """What must be equal for one graph to compute with the arrays of both, as JSON."""
        numeric = {name: spec.log1p for name, spec in self.inputs.numeric.items()}
        rows = [{key: value for key, value in row.items() if key != "bytes"} for row in self.manifest["inputs"]["rows"]]
        shapes = {name: [values.dtype.name, *values.shape] for name, values in self.arrays.items()
                  if not name.startswith("cold_rows/")}
        cold = sorted(name for name in self.arrays if name.startswith("cold_rows/"))
        return json.dumps([shapes, cold, rows, numeric, list(self.inputs.similarity), self.manifest["labels"],
                           _without_names(self.ranker.network.get_config())], sort_keys=True, default=str)

    def copy_to(self, folder: Path) -> None:
        """Writes the three files."""
        shutil.copyfile(self._network, folder / NETWORK_FILE)
        if self._cold_rows:
            shutil.copyfile(self._cold_rows, folder / COLD_ROWS_FILE)
        write_text(folder / RANKER_MANIFEST, manifest_text(RANKER_KIND, self.manifest))


def save_dense_files(folder: Path, ranker: Ranker) -> None:
    """Writes the files that ``DensePart.read`` finds, without the manifest."""
    ranker.network.save(folder / NETWORK_FILE)
    if ranker.cold_rows is not None:
        ranker.cold_rows.save(folder / COLD_ROWS_FILE)


def _without_names(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {key: _without_names(value) for key, value in config.items() if key not in UNIMPORTANT}
    return [_without_names(value) for value in config] if isinstance(config, list | tuple) else config
