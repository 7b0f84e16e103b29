"""Chunks of a delta: bounded requests to the signature ``apply_delta``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.serving.deltas.delta import Delta
from tfrs_pretrain.serving.deltas.state import ServedState
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.live.live_dense import dense_arrays
from tfrs_pretrain.serving.live.live_ranker import numbered_columns
from tfrs_pretrain.vocabulary import Vocabulary

# Fixed, because the version of a server names the chunk that it has applied.
CHUNK_ROWS, CHUNK_BYTES = 8192, 16 << 20
Inputs = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """One request.

    Attributes:
      predecessor: version of the server to which it applies.
      successor: version after it.
      inputs: inputs of ``apply_delta`` except secret, versions and settled.
    """

    predecessor: str
    successor: str
    inputs: Inputs


def delta_chunks(delta: Delta, later: ServedState, predecessor: str, live: Mapping[str, Any]) -> Iterator[Chunk]:
    """Yields the chunks of a delta in order; the last one commits.

    Args:
      delta: the delta.
      later: state after it.
      predecessor: version of the server before the first chunk.
      live: what the base's manifest says of its live updates.

    Raises:
      UserError: the served model has no room for the dense part.
    """
    parts = [*_parts(delta, later), None]  # None: nothing but the dense weights, or nothing at all
    for number, part in enumerate(parts):
        last = part is None
        successor = delta.digest if last else f"{delta.digest}#{number}"
        empty = no_change(later)
        inputs = empty | {name: values for name, values in (part or {}).items() if name in empty}
        inputs["commit"] = np.array(int(last))
        if last and delta.manifest["dense_changed"]:
            arrays = dense_arrays(later.dense.ranker, live["cold_sizes"])
            inputs["dense"] = np.array(b"".join(array.astype("<f4").tobytes() for array in arrays.values()), object)
        yield Chunk(predecessor, successor, inputs)
        predecessor = successor


def erasing_chunks(state: ServedState, tombstones: Mapping[str, pa.Array], version: str) -> Iterator[Chunk]:
    """Yields chunks that remove tombstones and set old rows to zero; the version stays.

    Args:
      state: any state of the chain.
      tombstones: vocabulary -> ids; those that are known again stay.
      version: version of the server.
    """
    for name, ids in tombstones.items():
        for start in range(0, len(ids), CHUNK_ROWS):
            yield Chunk(version, version, no_change(state) | {f"erased_{name}": _raw(ids.slice(start, CHUNK_ROWS))})
    yield Chunk(version, version, no_change(state) | {"sweep": np.array(1)})


def no_change(state: ServedState) -> Inputs:
    """Returns the inputs of a chunk that changes nothing."""
    empty, zero = np.array(b"", object), np.array(0)
    inputs: Inputs = {"dense": empty, "commit": zero, "sweep": zero}
    numbered = set(numbered_columns(state.dense.ranker).values())
    for name, vocabulary in state.vocabularies.items():
        none = _raw(vocabulary.ids.slice(0, 0))
        inputs |= {f"{kind}_{name}": none for kind in ("ids", "gone", "erased")}
        inputs[f"shared_{name}"] = np.empty(0, np.int64)
        if name in numbered:
            inputs[f"numbers_{name}"] = np.empty(0, np.int32)
    for name in state.tables:
        inputs |= {f"rows_{name}": empty, f"scales_{name}": np.empty((0, 1), np.float32)}
    return inputs


def _parts(delta: Delta, later: ServedState) -> Iterator[Inputs]:
    for name in later.vocabularies:
        tables = [table for table, vocabulary in later.tables.items() if vocabulary == name]
        change = delta.vocabulary(name) if name in delta.manifest["vocabularies"] else None
        stored = {table: delta.table(table) for table in tables if table in delta.manifest["tables"]}
        rows = [each.rows for each in stored.values()]
        vocabulary = later.vocabularies[name]
        if change is not None:
            rows.append(change.positions + vocabulary.oov_rows)
        changed = np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)
        gone = change.tombstones if change is not None else vocabulary.ids.slice(0, 0)
        if not len(changed) and not len(gone):
            continue
        values = {table: _rows(later, table, changed, stored[table].rows if table in stored else None,
                               stored[table].stored if table in stored else None) for table in tables}
        yield from _vocabulary_parts(name, vocabulary, changed, gone, values)


def _rows(later: ServedState, table: str, changed: np.ndarray, rows: np.ndarray | None, stored: StoredRows | None
          ) -> StoredRows:
    """Rows ``changed`` of a table; the whole table is read only if the delta does not have all of them."""
    if rows is not None and stored is not None and np.array_equal(rows, changed):
        return stored
    return later.table(table).take(changed)


def _vocabulary_parts(name: str, vocabulary: Vocabulary, changed: np.ndarray, gone: pa.Array,
                      values: Mapping[str, StoredRows]) -> Iterator[Inputs]:
    own = changed >= vocabulary.oov_rows
    has_id = np.ones(len(changed), bool)
    has_id[own] = vocabulary.ids.take(pa.array(changed[own] - vocabulary.oov_rows)).is_valid().to_numpy(False)
    kept = np.flatnonzero(has_id)
    size = _chunk_rows(values.values())
    for start in range(0, max(len(kept), len(gone)), size):
        places = kept[start:start + size]
        ids, shared = places[own[places]], places[~own[places]]
        order = np.concatenate([ids, shared])
        part = {f"ids_{name}": _raw(vocabulary.ids.take(pa.array(changed[ids] - vocabulary.oov_rows))),
                f"shared_{name}": changed[shared], f"numbers_{name}": changed[order].astype(np.int32),
                f"gone_{name}": _raw(gone.slice(start, size))}
        for table, stored in values.items():
            taken = stored.take(order)
            part[f"rows_{table}"] = np.array(taken.values.tobytes(), object)
            if taken.scales is not None:
                part[f"scales_{table}"] = taken.scales
        yield part


def _chunk_rows(tables: Iterable[StoredRows]) -> int:
    row_bytes = sum(int(stored.values.itemsize * stored.values.shape[1]) for stored in tables)
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(row_bytes, 1)))


def _raw(ids: pa.Array) -> np.ndarray:
    """Ids as int64 [n], or as objects (bytes)."""
    if pa.types.is_int64(ids.type):
        return np.asarray(ids.to_numpy(), np.int64)
    encoded = np.empty(len(ids), object)
    encoded[:] = [value.encode() for value in ids.to_pylist()]
    return encoded
