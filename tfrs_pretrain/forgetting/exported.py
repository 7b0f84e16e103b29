"""Exported versions: lookups in assets or variables, rows in variables, requests, and copies of manifests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, GOLDEN_REQUESTS
from tfrs_pretrain.forgetting.artifact import Digests, Leak, Removed, free_ids
from tfrs_pretrain.forgetting.ids import SPACES, ForgottenIds, Freed
from tfrs_pretrain.forgetting.requests import count_in_logs, count_in_rest, erase_golden, erase_rest, erase_warmup
from tfrs_pretrain.forgetting.staging import new_file
from tfrs_pretrain.forgetting.variables_bundle import SUFFIX, read_variables, write_variables
from tfrs_pretrain.serving.deltas.earlier_states import TOKEN
from tfrs_pretrain.serving.deltas.state import SERVED_STATE, VOCABULARIES
from tfrs_pretrain.serving.live.push_secret import new_token
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS, WARMUP
from tfrs_pretrain.vocabulary import Vocabulary

ASSETS = "assets"
LIVE_VERSION, LIVE_ENTRIES = f"_version{SUFFIX}", f"_entries/_entries{SUFFIX}"
SORTED, ROWS_OF_KEYS = f"_sorted{SUFFIX}", f"_rows{SUFFIX}"


def vocabulary_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Path]:
    """ID space -> vocabulary file, of a version that has them."""
    paths = {space: folder / EXTRA_ASSETS / SERVED_STATE / VOCABULARIES / f"{space}.parquet" for space in SPACES}
    return {space: path for space, path in paths.items() if path.is_file()}


def quoted_digests(folder: Path, manifest: Mapping[str, Any]) -> Digests:
    """Digests of the vocabularies, and the name of the served state of a version with live updates."""
    live = {TOKEN: manifest["live"]["token"]} if manifest.get("live") else {}
    return live | {f"vocabulary.{name}": digest for name, digest in manifest["vocabularies"].items()}


def lost_rows(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> dict[str, list[int]]:
    """Returns the rows that the version loses in this run; its vocabulary may have lost others before the export."""
    digest, path = manifest["vocabularies"].get(ids.space, ""), vocabulary_files(folder, manifest).get(ids.space)
    free = Vocabulary.load(path).free if path else np.empty(0, np.int64)
    return {ids.space: np.setdiff1d(ids.freed_rows(digest), free).tolist()}


def erase(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Removes the ids from a copied version; surviving ids are answered with the same bits.

    A forgotten id is answered as an unknown one. Its row is zero, and its entry is removed from the lookup. In a lookup
    whose rows are positions, another key takes its place, which no caller knows: it depends on the row only.
    """
    removed, extra, known = Removed(), folder / EXTRA_ASSETS, dict(manifest["vocabularies"])
    if path := vocabulary_files(folder, manifest).get(ids.space):
        vocabulary, removed["rows"] = free_ids(path, ids)
        manifest["vocabularies"] = known | {ids.space: vocabulary.digest}
    if freed := ids.freed.get(known.get(ids.space, "")):
        removed["lookup entries"] = _erase_asset(folder, ids, freed)
        changed = {**_tables_without(folder, manifest, ids.space, freed), **_sorted_without(folder, ids, freed)}
        if removed["rows"] and manifest.get("live"):
            changed |= _renew_live(folder, manifest, ids.space, freed)
        if changed:
            write_variables(folder, changed)
            removed["variables with rows set to zero"] = len(changed)
    removed["golden requests"] = erase_rest(extra / GOLDEN_REQUESTS, ids) + erase_golden(extra / GOLDEN_LOGS, ids)
    removed["values in warm-up requests"] = erase_warmup(extra / WARMUP, ids)
    return +removed


def _renew_live(folder: Path, manifest: dict[str, Any], space: str, freed: Freed) -> dict[str, np.ndarray]:
    """Gives a version with live updates a new name of its state, and returns the variables that change.

    A running server that has loaded the version before knows the old name, so it can be told apart.
    """
    token = new_token()
    manifest["live"] = manifest["live"] | {"token": token}
    [version] = read_variables(folder, LIVE_VERSION)
    changed = {version: np.array(token.encode())}
    for name, values in read_variables(folder, LIVE_ENTRIES).items():
        values[freed.rows + manifest["live"]["positions"][space]] = 0
        changed[name] = values
    for name, values in read_variables(folder, f"_lookups/{space}/_free_since/").items():
        values[freed.rows] = 0
        changed[name] = values
    return changed


def _erase_asset(folder: Path, ids: ForgottenIds, freed: Freed) -> int:
    path, rows_path = (folder / ASSETS / f"{ids.space}.{suffix}" for suffix in ("ids", "rows"))
    if not path.is_file():
        return 0
    keys, dtype = _read(path, ids)
    rows = _read_rows(rows_path) if rows_path.is_file() else freed.oov_rows + np.arange(len(keys))
    forgotten = np.isin(rows, freed.rows)
    free_keys = np.array([placeholder(row, dtype) for row in rows[forgotten].tolist()], keys.dtype)
    forgotten[forgotten] = keys[forgotten] != free_keys
    if not forgotten.any():
        return 0
    if rows_path.is_file():
        _write(rows_path, tf.constant(rows[~forgotten], tf.int64))
        keys = keys[~forgotten]
    else:
        keys[forgotten] = [placeholder(row, dtype) for row in rows[forgotten].tolist()]
    _write(path, tf.constant(keys, dtype))
    return int(forgotten.sum())


def placeholder(row: int, dtype: tf.DType) -> int | bytes:
    """Returns a key for a row that belongs to no id; it is no id that occurs, except with probability 2^-64 a row."""
    digest = hashlib.sha256(f"free row {row}".encode()).digest()
    if dtype == tf.int64:
        return int.from_bytes(digest[:8], "little", signed=True)
    return f"(free row {row}, {digest.hex()[:32]})".encode()


def _read(path: Path, ids: ForgottenIds) -> tuple[np.ndarray, tf.DType]:
    dtype = tf.int64 if str(ids.ids.type) == "int64" else tf.string
    return np.array(tf.io.parse_tensor(path.read_bytes(), dtype).numpy()), dtype


def _read_rows(path: Path) -> np.ndarray:
    rows: np.ndarray = tf.io.parse_tensor(path.read_bytes(), tf.int64).numpy()
    return rows


def _write(path: Path, values: tf.Tensor) -> None:
    new_file(path).write_bytes(tf.io.serialize_tensor(values).numpy())


def _tables_without(folder: Path, manifest: Mapping[str, Any], space: str, freed: Freed) -> dict[str, np.ndarray]:
    """Returns the tables of a space in which rows had to be set to zero, and the scales of quantized ones to one."""
    changed = {}
    for name, values in _table_variables(folder, manifest, space).items():
        empty = 1 if name.endswith(f"_scales{SUFFIX}") else 0
        if (values[freed.rows] != empty).any():
            values[freed.rows] = empty
            changed[name] = values
    return changed


def _table_variables(folder: Path, manifest: Mapping[str, Any], space: str) -> dict[str, np.ndarray]:
    tables = [name for name, table in manifest["tables"].items() if table["vocabulary"] == space]
    return {name: values for table in tables for name, values in read_variables(folder, f"_tables/{table}/").items()}


def _rows_of_keys(folder: Path, space: str) -> np.ndarray:
    """Rows of the keys of a sorted lookup; empty for another lookup."""
    found = read_variables(folder, f"_lookups/{space}/")
    return next((values for name, values in found.items() if name.endswith(ROWS_OF_KEYS)), np.empty(0))


def _sorted_without(folder: Path, ids: ForgottenIds, freed: Freed) -> dict[str, np.ndarray]:
    """Returns the sorted keys and their rows without those of freed rows.

    The variables keep their size: an entry becomes a repetition of its neighbour, which changes no lookup.
    """
    found = read_variables(folder, f"_lookups/{ids.space}/")
    keys_name = next((name for name in found if name.endswith(SORTED)), None)
    if keys_name is None:
        return {}
    rows_name = keys_name.removesuffix(SORTED) + ROWS_OF_KEYS
    keys, rows = found[keys_name], found[rows_name]
    kept = np.flatnonzero(~np.isin(rows, freed.rows))
    if len(kept) == len(rows):
        return {}
    if not len(kept):  # nothing to repeat
        return {keys_name: np.full_like(keys, np.iinfo(np.int64).min), rows_name: np.zeros_like(rows)}
    repeated = kept[np.minimum(np.searchsorted(kept, np.arange(len(rows))), len(kept) - 1)]
    return {keys_name: keys[repeated], rows_name: rows[repeated]}


def leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds the ids in lookups and requests, and forgotten rows that are not zero, in an exported version."""
    extra = folder / EXTRA_ASSETS
    path = vocabulary_files(folder, manifest).get(ids.space, folder / "absent")
    if path.is_file() and (count := int(ids.contains(Vocabulary.load(path).known_ids).sum())):
        yield Leak(path, f"{count} ids have rows")
    path = folder / ASSETS / f"{ids.space}.ids"
    if path.is_file() and (count := int(ids.contains_keys(_read(path, ids)[0]).sum())):
        yield Leak(path, f"{count} ids in the lookup")
    if freed := ids.freed.get(manifest["vocabularies"].get(ids.space, "")):
        for name, values in _table_variables(folder, manifest, ids.space).items():
            if (values[freed.rows] != (1 if name.endswith(f"_scales{SUFFIX}") else 0)).any():
                yield Leak(folder / "variables", f"forgotten rows of {name.removesuffix(SUFFIX)!r} are not zero")
        if count := int(np.isin(_rows_of_keys(folder, ids.space), freed.rows).sum()):
            yield Leak(folder / "variables", f"{count} forgotten rows in the lookup of {ids.space!r}")
    if count := count_in_rest(extra / GOLDEN_REQUESTS, ids):
        yield Leak(extra / GOLDEN_REQUESTS, f"{count} golden requests contain ids")
    for name in (GOLDEN_LOGS, WARMUP):
        if count := count_in_logs(extra / name, ids):
            yield Leak(extra / name, f"{count} values of requests are ids")
