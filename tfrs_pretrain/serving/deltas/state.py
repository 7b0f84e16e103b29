"""The state that a version serves: vocabularies, tables in the served dtype, and the dense part.

A version has in ``assets.extra/served_state/`` what its graph does not contain in a readable form::

    network.keras  cold_rows.npz    see ``dense_part``
    vocabulary/<name>.parquet       ids in row order, without counts
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.artifact_names import EXTRA_ASSETS
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.serving.deltas.dense_part import DensePart, save_dense_files
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.vocabulary import Vocabulary

SERVED_STATE, VOCABULARIES = "served_state", "vocabulary"


class ServedState:
    """What determines a model's answers. Tables are read when they are needed, one at a time.

    Args:
      schema: schema of the raw values.
      vocabularies: name -> vocabulary.
      dense: the dense part.
      tables: table -> its vocabulary.
      read_table: returns the rows of a table.
    """

    def __init__(self, schema: Schema, vocabularies: Mapping[str, Vocabulary], dense: DensePart,
                 tables: Mapping[str, str], read_table: Callable[[str], StoredRows]):
        self.schema, self.vocabularies, self.dense, self.tables = schema, dict(vocabularies), dense, dict(tables)
        self.table = read_table

    def vocabulary(self, name: str) -> Vocabulary:
        """Returns a vocabulary; see ``VocabularySource``."""
        return self.vocabularies[name]

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """Name of a vocabulary -> its digest."""
        return {name: vocabulary.digest for name, vocabulary in self.vocabularies.items()}


def save_state_files(folder: Path, ranker: Ranker, vocabulary: Callable[[str], Vocabulary]) -> None:
    """Writes ``served_state`` of a version.

    Args:
      folder: ``assets.extra`` of the version.
      ranker: ranker that is served.
      vocabulary: loads a vocabulary.
    """
    (folder / SERVED_STATE / VOCABULARIES).mkdir(parents=True)
    save_dense_files(folder / SERVED_STATE, ranker)
    for name in dict.fromkeys(ranker.inputs.tables.values()):
        found = vocabulary(name)
        without_counts = Vocabulary(found.ids, np.zeros(len(found.ids), np.int64), found.oov_rows)
        without_counts.save(folder / SERVED_STATE / VOCABULARIES / f"{name}.parquet")


def read_state(folder: Path, manifest: Mapping[str, Any]) -> ServedState:
    """Reads the state of a version whose files were checked.

    Args:
      folder: folder of the version.
      manifest: its manifest.

    Raises:
      UserError: an older release exported the version.
    """
    stored = folder / EXTRA_ASSETS / SERVED_STATE
    if not stored.is_dir():
        raise UserError(f"version {str(folder)!r} has no {EXTRA_ASSETS}/{SERVED_STATE}, an older release exported it: "
                        "export a full version, and deltas of that one")
    tables = {name: table["vocabulary"] for name, table in manifest["tables"].items()}
    vocabularies = {name: Vocabulary.load(stored / VOCABULARIES / f"{name}.parquet")
                    for name in dict.fromkeys(tables.values())}
    return ServedState(Schema.model_validate(manifest["config"]["schema"]), vocabularies,
                       DensePart.read(stored, folder / EXTRA_ASSETS), tables,
                       functools.partial(_read_table, folder, manifest["tables"]))


def table_digest(stored: StoredRows) -> str:
    """Returns the SHA-256 of a table's rows."""
    digest = hashlib.sha256(f"{stored.values.dtype.str}:{stored.values.shape}:".encode())
    for array in (stored.values, stored.scales):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_table(folder: Path, tables: Mapping[str, Any], name: str) -> StoredRows:
    """Reads a table from the variables of a SavedModel, under the names of ``ServedRanker``'s attributes."""
    variables, spec = tf.train.load_checkpoint(str(folder / "variables" / "variables")), tables[name]

    def read(attribute: str) -> np.ndarray:
        values: np.ndarray = variables.get_tensor(f"_tables/{name}/{attribute}/.ATTRIBUTES/VARIABLE_VALUE")
        return values[:spec["rows"]]

    return StoredRows(read("_rows"), read("_scales") if spec["dtype"] == "int8" else None)
