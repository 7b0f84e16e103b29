"""A stand-in for a loaded model that takes live updates: its signatures ``apply_delta`` and ``delta_version`` in numpy.

Calls are answered one after another. ``test_live_stand_in.py`` compares answers and refusals with those of a model in
the session loader. The simulator pushes to it.
"""

import dataclasses
import hashlib

import numpy as np

SINCE, NEW, OLD = range(3)  # of an entry
NOWHERE, USED = -1, 2**31 - 1
ABSENT = (0, NOWHERE, NOWHERE)
WAIT = "live update: {} changed less than the grace period ago, wait and send again"


class RefusedError(Exception):
    """A call is refused; it has changed nothing. The reasons are those that TensorFlow may name."""

    def __init__(self, reasons):
        super().__init__(reasons[0])
        self.reasons = reasons


class Places:
    """Where the rows of one vocabulary are, see ``tfrs_pretrain.serving.live.places``.

    Args:
      rows: id -> row.
      oov_rows: number of shared rows.
      num_places: number of rows and spare places.
    """

    def __init__(self, rows, oov_rows, num_places):
        self.entries = {key: (0, row, NOWHERE) for key, row in rows.items()}
        self.shared = [(0, row, NOWHERE) for row in range(oov_rows)]
        self.free_since = np.zeros(num_places, np.int64)
        self.free_since[[*range(oov_rows), *rows.values()]] = USED
        self.initial = np.flatnonzero(self.free_since == 0)

    def before(self, change):
        """Present entries of the ids, shared rows and tombstones that an update moves."""
        ids, gone = ([self.entries.get(key, ABSENT) for key in change[kind]] for kind in ("ids", "gone"))
        return ids + [self.shared[row] for row in change["shared"]] + gone

    def reasons(self, change, settled):
        """Reasons to refuse an update."""
        if any(not 0 <= row < len(self.shared) for row in change["shared"]):
            return ["a shared row does not exist"]
        found, needed = [], len(change["ids"]) + len(change["shared"])
        if any(entry[SINCE] > settled for entry in self.before(change)):
            found.append(WAIT.format("an id"))
        if (self.free_since <= settled).sum() < needed:
            found.append("live update: no free places")
        if change["numbers"] is not None and len(change["numbers"]) != needed:
            found.append("live update: expected row numbers")
        return found

    def taken(self, change, settled):
        """Free places for the new rows."""
        return np.flatnonzero(self.free_since <= settled)[:len(change["ids"]) + len(change["shared"])]

    def swept(self, change, settled):
        """Places whose old rows are set to zero."""
        return np.flatnonzero((self.free_since > 0) & (self.free_since <= settled) & (change["sweep"] > 0))

    def move(self, change, settled, epoch):
        """Changes the entries; the rows have been written."""
        before, taken = self.before(change), self.taken(change, settled)
        dead = [key for key in change["erased"] if (entry := self.entries.get(key, ABSENT))[NEW] == NOWHERE
                and entry[SINCE] <= settled]
        self.free_since[self.swept(change, settled)] = 0
        self.free_since[taken] = USED
        self.initial = np.setdiff1d(self.initial, taken)
        for key in dead:
            self.entries.pop(key, None)
        new = [*map(int, taken), *[NOWHERE] * len(change["gone"])]
        moved = [(epoch, place, earlier[NEW]) for place, earlier in zip(new, before, strict=True)]
        split = len(change["ids"])
        for key, entry in zip((*change["ids"], *change["gone"]), moved[:split] + moved[len(taken):], strict=True):
            self.entries[key] = entry
        for row, entry in zip(change["shared"], moved[split:len(taken)], strict=True):
            self.shared[row] = entry
        self.free_since[[entry[NEW] for entry in before if entry[NEW] != NOWHERE]] = epoch


class LiveModel:
    """A loaded model.

    Args:
      places: vocabulary -> ``Places``.
      tables: table -> (vocabulary, values [places, dim], scales [places, 1] or None).
      dense: arrays of the dense part.
      key: digest of the secret.
      token: version before any update.
      numbered: vocabularies whose row numbers are kept.
    """

    def __init__(self, places, tables, dense, key, token, numbered=()):
        self.places = places
        self.tables = {name: (vocabulary, values.copy(), None if scales is None else scales.copy())
                       for name, (vocabulary, values, scales) in tables.items()}
        self.generations = [[array.copy() for array in dense] for _ in range(2)]
        self.dense, self.num_bytes = (0, 0, NOWHERE), sum(array.nbytes for array in dense)
        self.version, self.epoch, self.settled = token, 0, 0
        self._key, self._numbered = key, numbered

    def delta_version(self):
        """Version, epoch, numbers of free places and of old rows."""
        counts = {}
        for name, places in self.places.items():
            since = places.free_since
            counts[f"free_{name}"] = int((since <= self.settled).sum())
            counts[f"old_{name}"] = int(((since > 0) & (since < USED)).sum())
        return {"version": self.version.encode(), "epoch": self.epoch, **counts}

    def apply_delta(self, inputs):
        """Applies one chunk.

        Raises:
          RefusedError: it must not be applied; nothing has changed.
        """
        sent = {name: values.item() if values.shape == () else values for name, values in inputs.items()}
        settled = max(self.settled, sent["settled"])
        changes = {name: self._change(sent, name) for name in self.places}
        if hashlib.sha256(self._key.salt + sent["secret"]).digest() != self._key.digest:
            raise RefusedError(["live update: the secret is of another model"])
        reasons = self._reasons(sent, settled) + [
            reason for name, places in self.places.items() for reason in places.reasons(changes[name], settled)]
        reasons += self._row_reasons(sent, changes)
        if reasons:
            raise RefusedError(reasons)
        for name, (vocabulary, values, scales) in self.tables.items():
            places, change = self.places[vocabulary], changes[vocabulary]
            for array, new in ((values, _decoded(sent[f"rows_{name}"], values)), (scales, sent[f"scales_{name}"])):
                if array is not None:
                    array[places.swept(change, settled)] = 0
                    array[places.taken(change, settled)] = new
        for name, places in self.places.items():
            places.move(changes[name], settled, self.epoch + 1)
        self._write_dense(sent["dense"])
        self.version, self.settled, self.epoch = sent["successor"], settled, self.epoch + int(sent["commit"] > 0)
        return {"version": self.version.encode(), "epoch": self.epoch}

    def _change(self, sent, name):
        found = {kind: sent[f"{kind}_{name}"].tolist() for kind in ("ids", "gone", "erased", "shared")}
        return found | {"sweep": sent["sweep"], "numbers": sent[f"numbers_{name}"] if name in self._numbered else None}

    def _reasons(self, sent, settled):
        found, size = [], len(sent["dense"])
        if self.version != sent["predecessor"]:
            found.append("live update: the version is")
        if not 0 <= sent["settled"] <= self.epoch:
            found.append("which cannot be settled at")
        if size not in (0, self.num_bytes):
            found.append("live update: expected bytes of dense weights")
        if size and self.dense[SINCE] > settled:
            found.append(WAIT.format("dense weights"))
        return found

    def _row_reasons(self, sent, changes):
        for name, (vocabulary, values, scales) in self.tables.items():
            size = values.itemsize * values.shape[1]
            if len(sent[f"rows_{name}"]) % size:
                return ["these bytes are no rows"]
            needed = len(changes[vocabulary]["ids"]) + len(changes[vocabulary]["shared"])
            num_scales = 0 if scales is None else needed
            if (len(sent[f"rows_{name}"]) // size, len(sent[f"scales_{name}"])) != (needed, num_scales):
                return ["live update: rows and scales differ in number from the ids"]
        return []

    def _write_dense(self, content):
        if not content:
            return
        free, place = 1 - self.dense[NEW], 0
        for array in self.generations[free]:
            array[...] = np.frombuffer(content, "<f4", array.size, place).reshape(array.shape)
            place += array.nbytes
        self.dense = (self.epoch + 1, free, self.dense[NEW])

    def snapshot(self, epoch=None):
        """What a request sees that read this epoch (None: the present one).

        Returns:
          A ``Snapshot``; in its tables the shared rows come first, then a row for each id.
        """
        epoch = self.epoch if epoch is None else epoch
        seen = {name: {key: _place(entry, epoch) for key, entry in places.entries.items()
                       if _place(entry, epoch) != NOWHERE} for name, places in self.places.items()}
        shared = {name: [_place(entry, epoch) for entry in places.shared] for name, places in self.places.items()}
        rows = {name: [*shared[name], *found.values()] for name, found in seen.items()}
        lookups = {name: {key.decode() if isinstance(key, bytes) else key: len(shared[name]) + number
                          for number, key in enumerate(found)} for name, found in seen.items()}
        tables = {name: (values[rows[vocabulary]], None if scales is None else scales[rows[vocabulary]])
                  for name, (vocabulary, values, scales) in self.tables.items()}
        return Snapshot(lookups, tables, self.generations[_place(self.dense, epoch)])

    def remains(self):
        """Ids without a row, and freed places with a row, that are still in the memory."""
        keys = [key for places in self.places.values() for key, entry in places.entries.items()
                if entry[NEW] == NOWHERE]
        rows = [(name, int(place)) for name, (vocabulary, values, _) in self.tables.items()
                for places in [self.places[vocabulary]]
                for place in np.setdiff1d(np.flatnonzero(places.free_since < USED), places.initial)
                if values[place].any()]
        return keys + rows


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Rows and weights.

    Attributes:
      lookups: vocabulary -> {id: row}.
      tables: table -> (values [rows, dim], scales [rows, 1] or None).
      dense: arrays of the dense part.
    """

    lookups: dict
    tables: dict
    dense: list


def _place(entry, epoch):
    return entry[NEW] if entry[SINCE] <= epoch else entry[OLD]


def _decoded(content, values):
    return np.frombuffer(content, values.dtype).reshape(-1, values.shape[1])
