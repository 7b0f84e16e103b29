"""A served ranker that takes deltas while it answers requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.graph.inputs import Raw
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker, VocabularySource
from tfrs_pretrain.serving.graph.served_tables import ServedTable, StoredRows
from tfrs_pretrain.serving.live.entries import Entries, layouts
from tfrs_pretrain.serving.live.epochs import Epochs
from tfrs_pretrain.serving.live.live_dense import LiveDense, cold_sizes, dense_arrays
from tfrs_pretrain.serving.live.live_network import LiveNetwork
from tfrs_pretrain.serving.live.live_table import LiveTable
from tfrs_pretrain.serving.live.places import LiveChange, LiveLookup
from tfrs_pretrain.serving.live.push_secret import KeyDigest, new_token
from tfrs_pretrain.serving.live.requests import find_places
from tfrs_pretrain.serving.live.sha256 import sha256
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA, DELTA_VERSION
from tfrs_pretrain.vocabulary import Vocabulary

MIN_SPARE = 1024


@dataclasses.dataclass(frozen=True)
class LiveSettings:
    """How a model takes live updates.

    Attributes:
      key: 32 bytes that an update must contain, or their digest.
      spare: spare places as a share of the rows of a vocabulary.
    """

    key: bytes | KeyDigest
    spare: float

    @property
    def key_digest(self) -> KeyDigest:
        """Digest of the key; with a new salt if the key is known."""
        return self.key if isinstance(self.key, KeyDigest) else KeyDigest.of(self.key)

    def places(self, num_rows: int) -> int:
        """Returns the number of spare places of a vocabulary; a small one can change and grow as a whole."""
        return max(int(num_rows * self.spare), min(2 * num_rows + 8, MIN_SPARE))


class LiveRanker(ServedRanker):
    """A served ranker with the functions ``apply_delta`` and ``delta_version``.

    Args:
      ranker: trained ranker.
      dataset: dataset on which it was trained, for schema and vocabularies.
      assets: folder for the files of the lookups.
      settings: settings of live updates.
      table_dtype: "float32", "float16" or "int8".
      stored: rows of each table as served; None: the ranker's.

    Attributes:
      token: version before any update.
    """

    def __init__(self, ranker: Ranker, dataset: VocabularySource, assets: Path, settings: LiveSettings,
                 table_dtype: str = "float32", stored: Mapping[str, StoredRows] | None = None):
        self._settings, self._epochs, self._key = settings, Epochs(), settings.key_digest
        self._numbered, self.token = numbered_columns(ranker), new_token()
        vocabularies = {name: dataset.vocabulary(name) for name in dict.fromkeys(ranker.inputs.tables.values())}
        self._layouts = layouts(vocabularies, {name: each.num_rows + settings.places(each.num_rows)
                                               for name, each in vocabularies.items()})
        self._entries = Entries(vocabularies, self._layouts, self._epochs)
        super().__init__(ranker, dataset, assets, table_dtype, stored)
        self._vocabularies = dict(ranker.inputs.tables)  # table -> vocabulary
        self._cold_sizes = cold_sizes(ranker, {name: settings.places(dataset.vocabulary(name).num_rows)
                                               for name in self._lookups})
        self._live_dense = LiveDense(dense_arrays(ranker, self._cold_sizes), self._epochs)
        self._logits = LiveNetwork(ranker, self._live_dense, self._number_rows)
        self._dense, self._cold_rows = [], None  # no second copy
        self._version = tf.Variable(self.token, trainable=False, dtype=tf.string, name="delta_version")

    def described_updates(self) -> dict[str, Any]:
        """Returns JSON: version before any update, digest of the key, spare places and their size in bytes, and
        for each vocabulary what must be added to a row to find its entry.
        """
        tables = {name: table.described() for name, table in self._tables.items()}
        num_bytes = sum(table["bytes"] // (table["rows"] + table["spare"]) * table["spare"]
                        for table in tables.values())
        return {"token": self.token, "key": self._key.to_json(), "cold_sizes": dict(self._cold_sizes),
                "positions": {name: layout.numbering.own for name, layout in self._layouts.items()},
                "spare": {name: table["spare"] for name, table in tables.items()}, "spare_bytes": num_bytes}

    def _make_lookup(self, vocabulary: Vocabulary, asset: Path, name: str) -> LiveLookup:
        return LiveLookup(vocabulary, asset, self._layouts[name], self._entries, f"added_{name}_{self.token}",
                          numbered=name in self._numbered.values())

    def _make_table(self, name: str, stored: StoredRows) -> ServedTable:
        return LiveTable(name, stored, self._settings.places(len(stored.values)))

    def _columns(self, names: Iterable[str], raw: Raw) -> dict[str, tf.Tensor]:
        """Looks all columns up at once: the first pass collects the ids, the second has the places."""
        wanted: list[tuple[LiveLookup, tf.Tensor]] = []

        def collect(vocabulary: str, ids: tf.Tensor) -> tf.Tensor:
            wanted.append((self._lookups[vocabulary], ids))
            return tf.zeros_like(ids, tf.int64)

        names = tuple(names)
        for name in names:
            self._column(name, raw, collect)
        places = iter(find_places(wanted, self._entries, self._epochs))
        return {name: self._column(name, raw, lambda *_: next(places)) for name in names}

    def _look_up(self, vocabulary: str, values: tf.Tensor) -> tf.Tensor:
        [places] = find_places([(self._lookups[vocabulary], values)], self._entries, self._epochs)
        return places

    def _number_rows(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        numbers = {column: self._lookups[vocabulary].row_numbers(batch[column])
                   for column, vocabulary in self._numbered.items()}
        return {**batch, **numbers}

    def extra_functions(self) -> dict[str, tuple[Any, dict[str, tf.TensorSpec]]]:
        return {APPLY_DELTA: (self.apply_delta, self._update_specs()), DELTA_VERSION: (self.delta_version, {})}

    def _update_specs(self) -> dict[str, tf.TensorSpec]:
        found = {name: tf.TensorSpec([], tf.string, name) for name in ("secret", "predecessor", "successor", "dense")}
        found |= {name: tf.TensorSpec([], tf.int64, name) for name in ("commit", "settled", "sweep")}
        for name, lookup in self._lookups.items():
            found |= {f"{kind}_{name}": tf.TensorSpec([None], lookup.dtype, f"{kind}_{name}")
                      for kind in ("ids", "gone", "erased")}
            found[f"shared_{name}"] = tf.TensorSpec([None], tf.int64, f"shared_{name}")
            if lookup.numbered:
                found[f"numbers_{name}"] = tf.TensorSpec([None], tf.int32, f"numbers_{name}")
        for name in self._tables:
            found[f"rows_{name}"] = tf.TensorSpec([], tf.string, f"rows_{name}")
            found[f"scales_{name}"] = tf.TensorSpec([None, 1], tf.float32, f"scales_{name}")
        return found

    def delta_version(self) -> dict[str, tf.Tensor]:
        """Returns version, epoch, and for each vocabulary the numbers of free places and of old rows."""
        settled = self._epochs.settled()
        return {"version": self._version.read_value(), "epoch": self._epochs.next() - 1,
                **{f"{kind}_{name}": count for name, lookup in self._lookups.items()
                   for kind, count in lookup.counts(settled).items()}}

    def apply_delta(self, secret: tf.Tensor, predecessor: tf.Tensor, successor: tf.Tensor, dense: tf.Tensor,
                    commit: tf.Tensor, settled: tf.Tensor, sweep: tf.Tensor, **parts: tf.Tensor
                    ) -> dict[str, tf.Tensor]:
        """Applies one chunk. If it is refused, nothing is changed.

        Args:
          secret: string [], the key.
          predecessor: string [], version to which the chunk applies.
          successor: string [], version after it.
          dense: string [], see ``LiveDense.checks``.
          commit: int64 [], 1: make this chunk, and those since the last commit, visible to requests.
          settled: int64 [], see ``Epochs``.
          sweep: int64 [], 1: set old rows to zero.
          **parts: ``ids_``, ``shared_``, ``gone_``, ``erased_`` and perhaps ``numbers_`` of each vocabulary, see
            ``LiveChange``; ``rows_`` and ``scales_`` of each table, for the ids, then for the shared rows.

        Returns:
          ``{"version": string [], "epoch": int32 []}``.
        """
        salted = sha256(tf.strings.join([tf.constant(self._key.salt), secret]))
        allowed = tf.reduce_all(salted == tf.constant(np.frombuffer(self._key.digest, ">u4").astype("u4")))
        with tf.control_dependencies([tf.debugging.Assert(allowed, ["live update: the secret is of another model"])]):
            # By name: all calls share the mutex. Chunks that are sent at once are applied one after the other.
            lock = tf.raw_ops.MutexLock(mutex=tf.raw_ops.MutexV2(shared_name=f"delta_{self.token}"))
        with tf.control_dependencies([lock]):
            changes = {name: LiveChange(
                parts[f"ids_{name}"], parts[f"shared_{name}"], parts[f"gone_{name}"], parts[f"erased_{name}"], sweep,
                parts.get(f"numbers_{name}")) for name in self._lookups}
            written = self._write(predecessor, dense, (commit, settled), changes, parts)
        with tf.control_dependencies(written):
            named = self._version.assign(successor, read_value=False)
        with tf.control_dependencies([named]):
            epoch = self._epochs.next() - 1
        with tf.control_dependencies([epoch]):
            released = tf.raw_ops.ConsumeMutexLock(mutex_lock=lock)
        with tf.control_dependencies([released]):
            return {"version": tf.identity(successor), "epoch": tf.identity(epoch)}

    def _write(self, predecessor: tf.Tensor, dense: tf.Tensor, times: tuple[tf.Tensor, tf.Tensor],
               changes: Mapping[str, LiveChange], parts: Mapping[str, tf.Tensor]) -> list[Any]:
        """Returns operations that check and write a chunk; every write depends on every check."""
        (commit, claimed), version = times, self._version.read_value()
        settled = self._epochs.settled(claimed)
        checks = [tf.debugging.Assert(version == predecessor, ["live update: the version is", version, "expected",
                                                              predecessor]),
                  *self._epochs.checks(claimed), *self._live_dense.checks(dense, settled)]
        updates = {name: lookup.update(changes[name], settled) for name, lookup in self._lookups.items()}
        rows = {name: table.decode(parts[f"rows_{name}"]) for name, table in self._tables.items()}
        for update in updates.values():
            checks += update.checks
        for name, table in self._tables.items():
            places = updates[self._vocabularies[name]].places
            checks += table.checks(rows[name], parts[f"scales_{name}"], tf.size(places))
        with tf.control_dependencies(checks):
            epoch = self._epochs.next()
            erased = [operation for name, table in self._tables.items()
                      for operation in table.erase(tf.identity(updates[self._vocabularies[name]].old))]
        with tf.control_dependencies(erased):
            writes = [operation for name, table in self._tables.items() for operation in table.write(
                tf.identity(updates[self._vocabularies[name]].places), rows[name], parts[f"scales_{name}"])]
        with tf.control_dependencies(writes):
            announced = self._entries.announce(epoch, tf.add_n([update.num_added for update in updates.values()]))
        with tf.control_dependencies(announced):
            moves = [operation for name, lookup in self._lookups.items()
                     for operation in lookup.move(changes[name], updates[name], epoch)]
            moves += self._live_dense.write(dense, epoch)
        with tf.control_dependencies(moves):
            freed = [lookup.free(updates[name], epoch) for name, lookup in self._lookups.items()]
        with tf.control_dependencies(freed):
            return self._epochs.advance(settled, commit > 0)


def numbered_columns(ranker: Ranker) -> dict[str, str]:
    """Returns column -> vocabulary of ids whose unknown rows are predicted, and of the features that predict them."""
    rules = ranker.cold_rows.rules if ranker.cold_rows else {}
    read = {*rules, *(column for rule in rules.values() for column in rule.values)}
    return {row.column: row.vocabulary for row in ranker.inputs.rows if row.column in read}
