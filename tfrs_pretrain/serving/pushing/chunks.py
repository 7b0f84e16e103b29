"""Chunks of a delta: bounded requests to the signature ``apply_delta``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from tfrs_pretrain.serving.deltas.delta import Delta
from tfrs_pretrain.serving.deltas.state import ServedState
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.live.live_dense import dense_arrays
from tfrs_pretrain.vocabulary import Vocabulary

# Fixed, because the version of a server names the chunk that it has applied.
CHUNK_ROWS = 8192
Inputs = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """One request.

    Attributes:
      predecessor: version of the server to which it applies.
      successor: version after it.
      last: it is the last one of its delta.
      inputs: inputs of ``apply_delta`` except secret, versions and commit.
    """

    predecessor: str
    successor: str
    last: bool
    inputs: Inputs


def delta_chunks(delta: Delta, earlier: ServedState, later: ServedState, predecessor: str) -> Iterator[Chunk]:
    """Yields the chunks of a delta in order.

    Args:
      delta: the delta.
      earlier: state before it.
      later: state after it.
      predecessor: version of the server before the first chunk.
    """
    parts = [*_parts(delta, earlier, later), None]  # None: nothing but the dense weights, or nothing at all
    for number, part in enumerate(parts):
        last = part is None
        successor = delta.digest if last else f"{delta.digest}#{number}"
        inputs = _nothing(later) | (part or {})
        if last and delta.manifest["dense_changed"]:
            content = b"".join(array.astype("<f4").tobytes() for array in dense_arrays(later.dense.ranker))
            inputs["dense"] = np.array(content, object)
        yield Chunk(predecessor, successor, last, inputs)
        predecessor = successor


def _parts(delta: Delta, earlier: ServedState, later: ServedState) -> Iterator[Inputs]:
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
    for start in range(0, max(len(kept), len(gone)), CHUNK_ROWS):
        places = kept[start:start + CHUNK_ROWS]
        ids, shared = places[own[places]], places[~own[places]]
        order = np.concatenate([ids, shared])
        part = {f"ids_{name}": _raw(vocabulary.ids.take(pa.array(changed[ids] - vocabulary.oov_rows))),
                f"shared_{name}": changed[shared],
                f"gone_{name}": _raw(gone.slice(start, CHUNK_ROWS))}
        for table, stored in values.items():
            taken = stored.take(order)
            part[f"rows_{table}"] = np.array(taken.values.tobytes(), object)
            if taken.scales is not None:
                part[f"scales_{table}"] = taken.scales
        yield part


def _nothing(state: ServedState) -> Inputs:
    empty = np.array(b"", object)
    inputs: Inputs = {"dense": empty}
    for name, vocabulary in state.vocabularies.items():
        none = _raw(vocabulary.ids.slice(0, 0))
        inputs |= {f"ids_{name}": none, f"gone_{name}": none, f"shared_{name}": np.empty(0, np.int64)}
    for name in state.tables:
        inputs |= {f"rows_{name}": empty, f"scales_{name}": np.empty((0, 1), np.float32)}
    return inputs


def _raw(ids: pa.Array) -> np.ndarray:
    """Ids as int64 [n], or as objects (bytes)."""
    if pa.types.is_int64(ids.type):
        return np.asarray(ids.to_numpy(), np.int64)
    encoded = np.empty(len(ids), object)
    encoded[:] = [value.encode() for value in ids.to_pylist()]
    return encoded


