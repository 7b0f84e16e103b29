"""One delta: its files and its manifest.

::

    vocabulary/<name>/changed.parquet     position and later id (null: the row is free)
    vocabulary/<name>/tombstones.parquet  ids that are gone
    tables/<name>/rows.npy  values.npy    changed rows, in the served dtype; int8: scales.npy
    network.keras ...                     the dense part, see ``dense_part``, if it changed
    golden_requests.tfrecord  .json       requests to every signature with the answers after this delta
    model_card.md  model_card.json
    ranker_manifest.json
    manifest.json                         chain, digests of the state after this delta, report; written last
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.deltas.dense_part import DensePart
from tfrs_pretrain.serving.deltas.state import ServedState, table_digest
from tfrs_pretrain.serving.deltas.table_change import TableChange
from tfrs_pretrain.serving.deltas.vocabulary_change import VocabularyChange
from tfrs_pretrain.serving.graph.served_tables import StoredRows

VOCABULARIES, TABLES = "vocabulary", "tables"


@dataclasses.dataclass(frozen=True)
class Delta:
    """A complete delta whose files were checked.

    Attributes:
      folder: its folder.
      manifest: its manifest.
      digest: digest of the manifest.
    """

    folder: Path
    manifest: dict[str, Any]
    digest: str

    @property
    def number(self) -> int:
        """Its position in the chain, from 1."""
        return int(self.manifest["number"])

    def vocabulary(self, name: str) -> VocabularyChange:
        """Reads the change of a vocabulary."""
        return VocabularyChange.load(self.folder / VOCABULARIES / name, self.manifest["vocabularies"][name])

    def table(self, name: str) -> TableChange:
        """Reads the change of a table."""
        return TableChange.load(self.folder / TABLES / name, self.manifest["tables"][name])

    def apply(self, state: ServedState) -> ServedState:
        """Returns the state after this delta.

        Raises:
          UserError: the result is not the one that the delta was written for.
        """
        vocabularies = {name: self.vocabulary(name).apply(found) if name in self.manifest["vocabularies"] else found
                        for name, found in state.vocabularies.items()}
        dense = DensePart.read(self.folder, self.folder) if self.manifest["dense_changed"] else state.dense
        later = ServedState(state.schema, vocabularies, dense, state.tables,
                            functools.partial(self._later_table, state))
        self._compare("vocabularies", later.digests)
        self._compare("dense", dense.digest)
        return later

    def check_tables(self, state: ServedState) -> None:
        """Compares the tables after this delta with those that it was written for.

        Raises:
          UserError: they differ.
        """
        self._compare("tables", {name: table_digest(state.table(name)) for name in state.tables})

    def _later_table(self, state: ServedState, name: str) -> StoredRows:
        earlier = state.table(name)
        return self.table(name).apply(earlier) if name in self.manifest["tables"] else earlier

    def _compare(self, part: str, found: Any) -> None:
        if self.manifest["state"][part] != found:
            raise UserError(f"delta {str(self.folder)!r}: the result differs from the state that it was written for, "
                            f"in its part {part!r}: export a full version")


@dataclasses.dataclass(frozen=True)
class StateChange:
    """Everything that differs between two states.

    Attributes:
      vocabularies: vocabulary -> its change, without those that are equal.
      tables: table -> its change, likewise.
      dense: the later dense part; None: it is equal.
      state: digests of the later state, for the manifest.
    """

    vocabularies: dict[str, VocabularyChange]
    tables: dict[str, TableChange]
    dense: DensePart | None
    state: dict[str, Any]

    @classmethod
    def between(cls, earlier: ServedState, later: ServedState) -> StateChange:
        """Compares two states.

        Raises:
          UserError: they differ in more than values and ids.
        """
        if later.tables != earlier.tables or later.dense.structure != earlier.dense.structure:
            raise UserError("the ranker's tables, inputs or network have another structure than the base version's: "
                            "export a full version, without --delta-of")
        vocabularies = {name: VocabularyChange.between(earlier.vocabularies[name], found, name)
                        for name, found in later.vocabularies.items() if found.digest != earlier.digests[name]}
        tables, digests = {}, {}
        for name in later.tables:
            before, after = earlier.table(name), later.table(name)
            if (before.values.dtype, before.values.shape[1]) != (after.values.dtype, after.values.shape[1]):
                raise UserError(f"table {name!r} has {after.values.shape[1]} {after.values.dtype} columns, the base "
                                f"version {before.values.shape[1]} {before.values.dtype}: export a full version, "
                                "without --delta-of")
            change, digests[name] = TableChange.between(before, after), table_digest(after)
            if len(change.rows) or len(before.values) != change.num_rows:
                tables[name] = change
        dense = later.dense if later.dense.digest != earlier.dense.digest else None
        return cls(vocabularies, tables, dense,
                   {"vocabularies": later.digests, "tables": digests, "dense": later.dense.digest})

    def save(self, folder: Path) -> None:
        """Writes the changes."""
        for vocabulary, ids in self.vocabularies.items():
            ids.save(folder / VOCABULARIES / vocabulary)
        for table, rows in self.tables.items():
            rows.save(folder / TABLES / table)
        if self.dense:
            self.dense.copy_to(folder)

    def to_json(self) -> dict[str, Any]:
        """Returns JSON for the delta's manifest."""
        return {"vocabularies": {name: change.summary for name, change in self.vocabularies.items()},
                "tables": {name: change.summary for name, change in self.tables.items()},
                "dense_changed": self.dense is not None, "state": self.state}
