"""A served ranker that takes deltas while it answers requests."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.graph.lookup import VocabularyLookup
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker, VocabularySource
from tfrs_pretrain.serving.graph.served_tables import ServedTable, StoredRows
from tfrs_pretrain.serving.live.epochs import Epochs
from tfrs_pretrain.serving.live.live_dense import LiveDense
from tfrs_pretrain.serving.live.live_table import LiveTable
from tfrs_pretrain.serving.live.places import LiveChange, LiveLookup
from tfrs_pretrain.serving.live.sha256 import sha256
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA, DELTA_VERSION
from tfrs_pretrain.vocabulary import Vocabulary

SALT_BYTES = 16  # with a key of 32 bytes: the message of ``sha256``


@dataclasses.dataclass(frozen=True)
class LiveSettings:
    """How a model takes live updates.

    Attributes:
      key: 32 bytes that an update must contain; the graph has their salted SHA-256 only.
      spare: spare places as a share of the rows of a vocabulary.
      grace_seconds: longest time that a request may take.
    """

    key: bytes
    spare: float
    grace_seconds: float

    def places(self, num_rows: int) -> int:
        """Returns the number of spare places of a vocabulary; at least one for each row of a small one."""
        return max(int(num_rows * self.spare), min(num_rows, 1024))


class LiveRanker(ServedRanker):
    """A served ranker with the functions ``apply_delta`` and ``delta_version``.

    Args:
      ranker: trained ranker without a prediction of unknown ids' rows.
      dataset: dataset on which it was trained, for schema and vocabularies.
      assets: folder for the files of the lookups.
      settings: settings of live updates.
      table_dtype: "float32", "float16" or "int8".
      stored: rows of each table as served; None: the ranker's.

    Attributes:
      token: version before any update.

    Raises:
      UserError: the ranker predicts rows of unknown ids.
    """

    def __init__(self, ranker: Ranker, dataset: VocabularySource, assets: Path, settings: LiveSettings,
                 table_dtype: str = "float32", stored: Mapping[str, StoredRows] | None = None):
        if ranker.cold_rows is not None:
            raise UserError("export.live_updates does not support rankers with cold_rows, which read row numbers: turn "
                            "one of the two off")
        self._settings, self._epochs = settings, Epochs(settings.grace_seconds)
        super().__init__(ranker, dataset, assets, table_dtype, stored)
        self._vocabularies = dict(ranker.inputs.tables)  # table -> vocabulary
        self._live_dense = LiveDense(ranker, self._epochs)
        self._logits = functools.partial(_live_logits, ranker, self._live_dense)
        self.token = secrets.token_hex(16)
        self._version = tf.Variable(self.token, trainable=False, dtype=tf.string, name="delta_version")
        salt = secrets.token_bytes(SALT_BYTES)
        self._salt = tf.constant(salt)
        self._expected = tf.constant(np.frombuffer(hashlib.sha256(salt + settings.key).digest(), ">u4").astype("u4"))

    def described_updates(self) -> dict[str, Any]:
        """Returns JSON: version before any update, spare places, their size in bytes, and the grace period."""
        spare = {name: table.described()["spare"] for name, table in self._tables.items()}
        rows = {name: table.described()["rows"] + spare[name] for name, table in self._tables.items()}
        num_bytes = sum(table.described()["bytes"] // rows[name] * spare[name] for name, table in self._tables.items())
        return {"token": self.token, "spare": spare, "spare_bytes": num_bytes,
                "grace_seconds": self._settings.grace_seconds}

    def _make_lookup(self, vocabulary: Vocabulary, asset: Path) -> VocabularyLookup:
        return LiveLookup(vocabulary, self._settings.places(vocabulary.num_rows), self._epochs)

    def _make_table(self, name: str, stored: StoredRows, lookup: VocabularyLookup) -> ServedTable:
        assert isinstance(lookup, LiveLookup)
        return LiveTable(name, stored, lookup, self._settings.places(len(stored.values)))

    def extra_functions(self) -> dict[str, tuple[Any, dict[str, tf.TensorSpec]]]:
        return {APPLY_DELTA: (self.apply_delta, self._update_specs()), DELTA_VERSION: (self.delta_version, {})}

    def _update_specs(self) -> dict[str, tf.TensorSpec]:
        scalars = {name: tf.TensorSpec([], tf.string, name) for name in ("secret", "predecessor", "successor", "dense")}
        found = {**scalars, "commit": tf.TensorSpec([], tf.int64, "commit")}
        for name, lookup in self._lookups.items():
            found[f"ids_{name}"] = tf.TensorSpec([None], lookup.dtype, f"ids_{name}")
            found[f"gone_{name}"] = tf.TensorSpec([None], lookup.dtype, f"gone_{name}")
            found[f"shared_{name}"] = tf.TensorSpec([None], tf.int64, f"shared_{name}")
        for name in self._tables:
            found[f"rows_{name}"] = tf.TensorSpec([], tf.string, f"rows_{name}")
            found[f"scales_{name}"] = tf.TensorSpec([None, 1], tf.float32, f"scales_{name}")
        return found

    def delta_version(self) -> dict[str, tf.Tensor]:
        """Returns the version, and the number of free places of each vocabulary."""
        settled = self._epochs.settled()
        return {"version": self._version.read_value(),
                **{f"free_{name}": lookup.num_free(settled) for name, lookup in self._lookups.items()}}

    def apply_delta(self, secret: tf.Tensor, predecessor: tf.Tensor, successor: tf.Tensor, dense: tf.Tensor,
                    commit: tf.Tensor, **parts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Applies one chunk. If it is refused, nothing is changed.

        Args:
          secret: string [], the key.
          predecessor: string [], version to which the chunk applies.
          successor: string [], version after it.
          dense: string [], see ``LiveDense.checks``.
          commit: int64 [], 1: make this chunk, and those since the last commit, visible to requests.
          **parts: ``ids_``, ``gone_`` and ``shared_`` of each vocabulary, see ``LiveChange``; ``rows_`` and ``scales_``
            of each table, for the ids, then for the shared rows.

        Returns:
          ``{"version": string []}``.
        """
        allowed = tf.reduce_all(sha256(tf.strings.join([self._salt, secret])) == self._expected)
        with tf.control_dependencies([tf.debugging.Assert(allowed, ["live update: the secret is not this model's"])]):
            # By name: all calls share the mutex. Chunks that are sent at once are applied one after the other.
            lock = tf.raw_ops.MutexLock(mutex=tf.raw_ops.MutexV2(shared_name=f"delta_{self.token}"))
        with tf.control_dependencies([lock]):
            written = self._write(predecessor, dense, commit, parts)
        with tf.control_dependencies(written):
            named = self._version.assign(successor, read_value=False)
        with tf.control_dependencies([named]):
            released = tf.raw_ops.ConsumeMutexLock(mutex_lock=lock)
        with tf.control_dependencies([released]):
            return {"version": tf.identity(successor)}

    def _write(self, predecessor: tf.Tensor, dense: tf.Tensor, commit: tf.Tensor, parts: Mapping[str, tf.Tensor]
               ) -> list[Any]:
        """Returns operations that check and write a chunk; every write depends on every check."""
        settled, version = self._epochs.settled(), self._version.read_value()
        checks = [tf.debugging.Assert(version == predecessor, ["live update: the version is", version, "expected",
                                                              predecessor]), *self._live_dense.checks(dense, settled)]
        changes = {name: LiveChange(parts[f"ids_{name}"], parts[f"shared_{name}"], parts[f"gone_{name}"])
                   for name in self._lookups}
        updates = {name: lookup.update(changes[name], settled) for name, lookup in self._lookups.items()}
        rows = {name: table.decode(parts[f"rows_{name}"]) for name, table in self._tables.items()}
        for update in updates.values():
            checks += update.checks
        for name, table in self._tables.items():
            places = updates[self._vocabularies[name]].places
            checks += table.checks(rows[name], parts[f"scales_{name}"], tf.size(places))
        with tf.control_dependencies(checks):
            epoch = self._epochs.next()
            writes = [operation for name, table in self._tables.items() for operation in table.write(
                tf.identity(updates[self._vocabularies[name]].places), rows[name], parts[f"scales_{name}"])]
        with tf.control_dependencies(writes):
            moves = [operation for name, lookup in self._lookups.items()
                     for operation in lookup.move(changes[name], updates[name], epoch)]
            moves += self._live_dense.write(dense, epoch)
        with tf.control_dependencies(moves):
            return self._epochs.advance(settled, commit > 0)


def _live_logits(ranker: Ranker, dense: LiveDense, rows: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor], *,
                 sides: Sequence[Sequence[str]] | None = None) -> tf.Tensor:
    """As ``Ranker.logits_from_rows`` with the weights and moments that the request uses."""
    mapping = list(zip(ranker.network.weights, dense.weights(), strict=True))
    with keras.StatelessScope(state_mapping=mapping):
        return ranker.logits_from_rows(rows, batch, sides=sides, moments=dense.moments())
