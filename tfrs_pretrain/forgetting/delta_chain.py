"""The states along a chain of deltas while their files are changed one after the other, the base version first."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import DELTA_KIND, EXTRA_ASSETS, FORGOTTEN, SAVED_MODEL_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.serving.deltas.chain import delta_name
from tfrs_pretrain.serving.deltas.delta import TABLES, VOCABULARIES
from tfrs_pretrain.serving.deltas.state import read_state
from tfrs_pretrain.serving.deltas.table_change import TableChange
from tfrs_pretrain.serving.deltas.vocabulary_change import VocabularyChange
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.vocabulary import Vocabulary

DELTAS = ".deltas"
Rows = dict[str, set[int]]  # vocabulary -> rows


class EarlierStates:
    """The state before a delta, from the files of the base and of the earlier deltas as they are now.

    Args:
      folder: folder of the delta, or a copy beside it.
      manifest: its manifest.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]):
        self.base, self._folder, self._manifest = base_of(folder), folder, manifest
        self._folders = [folder.parent / delta_name(number) for number in range(1, int(manifest["number"]))]

    @functools.cached_property
    def _base_manifest(self) -> dict[str, Any]:
        return read_manifest(self.base / EXTRA_ASSETS, SAVED_MODEL_KIND)

    @functools.cached_property
    def _manifests(self) -> list[dict[str, Any]]:
        return [read_manifest(folder, DELTA_KIND) for folder in self._folders]

    @functools.cached_property
    def _base(self) -> Any:
        return read_state(self.base, self._base_manifest)

    @property
    def predecessor(self) -> dict[str, Any]:
        """Manifest of the version or delta before."""
        return self._manifests[-1] if self._manifests else self._base_manifest

    @property
    def vocabularies(self) -> tuple[str, ...]:
        """Names of all vocabularies."""
        return tuple(self._base.vocabularies)

    def tables(self, vocabulary: str) -> list[str]:
        """Names of the tables whose rows are ids of a vocabulary."""
        return [table for table, name in self._base.tables.items() if name == vocabulary]

    def check(self) -> None:
        """Checks that the delta belongs to this chain, which an interrupted run may have changed in part.

        Raises:
          UserError: it does not, or an earlier delta is missing.
        """
        missing = [path for path in (self.base / EXTRA_ASSETS, *self._folders) if not path.is_dir()]
        if missing:
            raise UserError(f"delta {str(self._folder)!r} needs {str(missing[0])!r}, which is missing: restore it, or "
                            "remove the delta and those after it")
        base = {json_digest(self._base_manifest), *map(_content, self._base_manifest.get(FORGOTTEN, ()))}
        before = {json_digest(self.predecessor), *map(_content, self.predecessor.get(FORGOTTEN, ()))}
        if self._manifest["base"]["digest"] not in base or self._manifest["predecessor"] not in before:
            raise UserError(f"delta {str(self._folder)!r} does not follow the version and the delta before it: it is "
                            "left from another or an aborted run, remove it and the deltas after it")

    def unfollowed(self) -> Rows:
        """Returns the rows that the predecessor lost by runs that this delta has not followed yet."""
        entries, quoted = self.predecessor.get(FORGOTTEN, ()), self._manifest["predecessor"]
        first = next((number for number, entry in enumerate(entries) if _content(entry) == quoted), len(entries))
        return _rows(entries[first:])

    def vocabulary(self, name: str) -> tuple[Vocabulary, set[int]]:
        """Returns a vocabulary before the delta, and its free rows that belonged to a forgotten id last."""
        vocabulary: Vocabulary = self._base.vocabulary(name)
        freed = _still_free(_rows(self._base_manifest.get(FORGOTTEN, ())).get(name, set()), vocabulary)
        for folder, manifest in zip(self._folders, self._manifests, strict=True):
            if name in manifest["vocabularies"]:
                vocabulary = load_ids(folder, manifest, name).apply(vocabulary)
            freed |= _rows(manifest.get(FORGOTTEN, ())).get(name, set())
            freed = _still_free(freed, vocabulary)
        return vocabulary, freed

    def table(self, name: str) -> StoredRows:
        """Reads a table before the delta."""
        stored: StoredRows = self._base.table(name)
        for folder, manifest in zip(self._folders, self._manifests, strict=True):
            if name in manifest["tables"]:
                stored = load_rows(folder, manifest, name).apply(stored)
        return stored


def base_of(folder: Path) -> Path:
    """Returns the folder of the base version of a delta."""
    return folder.parent.with_name(folder.parent.name.removesuffix(DELTAS))


def load_ids(folder: Path, manifest: Mapping[str, Any], name: str) -> VocabularyChange:
    """Reads the change of a vocabulary."""
    return VocabularyChange.load(folder / VOCABULARIES / name, manifest["vocabularies"][name])


def load_rows(folder: Path, manifest: Mapping[str, Any], name: str) -> TableChange:
    """Reads the change of a table."""
    return TableChange.load(folder / TABLES / name, manifest["tables"][name])


def _content(entry: Mapping[str, Any]) -> str:
    return str(entry["digests"]["content"])


def _rows(entries: Sequence[Mapping[str, Any]]) -> Rows:
    found: Rows = {}
    for entry in entries:
        for name, rows in entry["rows"].items():
            found.setdefault(name, set()).update(rows)
    return found


def _still_free(rows: set[int], vocabulary: Vocabulary) -> set[int]:
    return rows & set(vocabulary.free.tolist())


def zeroed(stored: StoredRows, rows: np.ndarray) -> StoredRows:
    """Returns a copy of a table in which rows int64 [n] are zero."""
    values, scales = stored.values.copy(), None if stored.scales is None else stored.scales.copy()
    values[rows] = 0
    if scales is not None:
        scales[rows] = 1
    return StoredRows(values, scales)

