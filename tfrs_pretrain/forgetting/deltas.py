"""Deltas: ids and tombstones, rows of ids, and requests. Each delta becomes the one between the changed states."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import FORGOTTEN, GOLDEN_REQUESTS
from tfrs_pretrain.forgetting.artifact import Digests, Leak, Removed
from tfrs_pretrain.forgetting.delta_chain import EarlierStates, load_ids, load_rows, zeroed
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.requests import count_in_logs, count_in_rest, erase_golden, erase_rest
from tfrs_pretrain.serving.deltas.delta import TABLES, VOCABULARIES
from tfrs_pretrain.serving.deltas.state import table_digest
from tfrs_pretrain.serving.deltas.table_change import TableChange
from tfrs_pretrain.serving.deltas.vocabulary_change import VocabularyChange
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS
from tfrs_pretrain.vocabulary import Vocabulary


def quoted_digests(folder: Path, manifest: Mapping[str, Any]) -> Digests:
    """Digests of the vocabularies after the delta."""
    return {f"vocabulary.{name}": digest for name, digest in manifest["state"]["vocabularies"].items()}


def lost_rows(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> dict[str, list[int]]:
    """Returns vocabulary -> the rows at which the state after the delta had ids that are forgotten."""
    states = EarlierStates(folder, manifest)
    lost = states.unfollowed()
    found = {}
    for name in {**lost, **manifest["vocabularies"]}:
        rows = lost.get(name, set())
        if name in manifest["vocabularies"]:
            change, oov_rows = load_ids(folder, manifest, name), states.vocabulary(name)[0].oov_rows
            rows = rows - set((change.positions + oov_rows).tolist()) | set(_own_rows(change, name, oov_rows, ids))
        if rows:
            found[name] = sorted(rows)
    return found


def _own_rows(change: VocabularyChange, name: str, oov_rows: int, ids: ForgottenIds) -> list[int]:
    """Rows that the delta gives to forgotten ids."""
    if name != ids.space or not len(change.ids):
        return []
    rows: list[int] = (change.positions[ids.contains(change.ids)] + oov_rows).tolist()
    return rows


def erase(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Removes the ids from a copied delta, whose base and predecessors have been changed already."""
    removed, states = Removed(), EarlierStates(folder, manifest)
    for name in states.vocabularies:
        _Eraser(folder, manifest, states, name, removed).run(ids)
    if (folder / GOLDEN_REQUESTS).is_file():
        removed["golden requests"] += erase_rest(folder / GOLDEN_REQUESTS, ids)
    removed["golden requests"] += erase_golden(folder / GOLDEN_LOGS, ids)
    return +removed


class _Eraser:
    """Changes one vocabulary of a delta, and the tables of its rows."""

    def __init__(self, folder: Path, manifest: dict[str, Any], states: EarlierStates, name: str, removed: Removed):
        self._folder, self._manifest, self._states = folder, manifest, states
        self._name, self._removed = name, removed

    def run(self, ids: ForgottenIds) -> None:
        """Makes the delta the one from the changed state before it to the changed state after it."""
        earlier, free = self._states.vocabulary(self._name)
        own, tombstones = list[int](), 0
        later = earlier
        if self._name in self._manifest["vocabularies"]:
            change = load_ids(self._folder, self._manifest, self._name)
            own = _own_rows(change, self._name, earlier.oov_rows, ids)
            tombstones = int(ids.contains(change.tombstones).sum()) if self._name == ids.space else 0
            later = change.apply(earlier).with_freed(np.array(own, np.int64))
        if not own and not tombstones and not free:
            return
        self._removed["rows"] += len(own)
        self._removed["tombstones"] += tombstones
        self._write_ids(earlier, later)
        zero = np.intersect1d(later.free, np.array([*own, *free], np.int64))
        for table in self._states.tables(self._name):
            self._write_rows(table, zero)

    def _write_ids(self, earlier: Vocabulary, later: Vocabulary) -> None:
        entries = {key: value for key, value in self._manifest["vocabularies"].items() if key != self._name}
        target = self._folder / VOCABULARIES / self._name
        shutil.rmtree(target, ignore_errors=True)
        if later.digest != earlier.digest:
            change = VocabularyChange.between(earlier, later, self._name)
            change.save(target)
            entries[self._name] = change.summary
        self._put("vocabularies", self._name, entries, later.digest)

    def _write_rows(self, table: str, zero: np.ndarray) -> None:
        earlier = self._states.table(table)
        later, before = earlier, 0
        if table in self._manifest["tables"]:
            change = load_rows(self._folder, self._manifest, table)
            later, before = change.apply(earlier), len(change.rows)
        later = zeroed(later, zero)
        change = TableChange.between(earlier, later)
        entries = {key: value for key, value in self._manifest["tables"].items() if key != table}
        target = self._folder / TABLES / table
        shutil.rmtree(target, ignore_errors=True)
        if len(change.rows) or len(earlier.values) != change.num_rows:
            change.save(target)
            entries[table] = change.summary
        self._removed["changed rows"] += max(before - len(change.rows), 0)
        self._put("tables", table, entries, table_digest(later))

    def _put(self, part: str, name: str, entries: dict[str, Any], digest: str) -> None:
        state = self._manifest["state"]
        self._manifest[part] = entries
        self._manifest["state"] = state | {part: state[part] | {name: digest}}


def leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds the ids, and rows of ids that are not zero, in a delta."""
    states = EarlierStates(folder, manifest)
    if ids.space in manifest["vocabularies"]:
        change = load_ids(folder, manifest, ids.space)
        for what, values in (("ids with rows", change.ids), ("tombstones", change.tombstones)):
            if count := int(ids.contains(values).sum()):
                yield Leak(folder / VOCABULARIES / ids.space, f"{count} {what}")
    for name in states.vocabularies:
        free = np.array(sorted(_free_after(folder, manifest, states, name)), np.int64)
        for table in set(states.tables(name)) & set(manifest["tables"]):
            rows = load_rows(folder, manifest, table)
            if count := int(rows.stored.values[np.isin(rows.rows, free)].any(axis=1).sum()):
                yield Leak(folder / TABLES / table, f"{count} forgotten rows are not zero")
    if (folder / GOLDEN_REQUESTS).is_file() and (count := count_in_rest(folder / GOLDEN_REQUESTS, ids)):
        yield Leak(folder / GOLDEN_REQUESTS, f"{count} golden requests contain ids")
    if count := count_in_logs(folder / GOLDEN_LOGS, ids):
        yield Leak(folder / GOLDEN_LOGS, f"{count} values of requests are ids")


def _free_after(folder: Path, manifest: Mapping[str, Any], states: EarlierStates, name: str) -> set[int]:
    """Rows that are free after the delta and belonged to a forgotten id last."""
    vocabulary, free = states.vocabulary(name)
    if name in manifest["vocabularies"]:
        vocabulary = load_ids(folder, manifest, name).apply(vocabulary)
    own = {row for entry in manifest.get(FORGOTTEN, ()) for row in entry["rows"].get(name, ())}
    return (free | own) & set(vocabulary.free.tolist())
