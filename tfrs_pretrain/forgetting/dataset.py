"""Datasets and their parts: vocabularies, pairs, impressions, golden impressions and rejected rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_pipelines.build_impressions import measure_impressions
from beam_pipelines.build_pairs import measure_pairs
from beam_pipelines.launching.dataset_info import add_rates
from beam_pipelines.logs.dead_letter import REJECTED_FOLDER
from beam_pipelines.transforms.vocabularies import Vocabularies
from tfrs_pretrain.artifact_names import CANDIDATE_PROBABILITY, GOLDEN_IMPRESSIONS, LOOKUP_SUFFIX, VOCABULARY_FOLDER
from tfrs_pretrain.data.dataset import pair_columns, record_columns
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.artifact import Digests, Leak, Removed, free_ids
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.parquet_rows import read_table
from tfrs_pretrain.forgetting.record_tables import Types, edit_file, read_tables, without_elements
from tfrs_pretrain.forgetting.rejected import erase_rejected, rejected_leaks
from tfrs_pretrain.forgetting.staging import new_file
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.schema import HISTORY, ITEM_ID, Schema
from tfrs_pretrain.value_types import ARROW_TYPES
from tfrs_pretrain.vocabulary import Vocabulary

PAIR_COLUMNS = {"user": "query", "item": "candidate"}
PAIRS, TRAIN_PAIRS = "pairs/", "pairs/train"


def vocabulary_files(folder: Path, info: Mapping[str, Any]) -> dict[str, Path]:
    """ID space -> vocabulary file, of the spaces that have one here."""
    paths = {space: folder / VOCABULARY_FOLDER / f"{space}.parquet" for space in PAIR_COLUMNS}
    return {space: path for space, path in paths.items() if path.is_file()}


def quoted_digests(folder: Path, info: Mapping[str, Any]) -> Digests:
    """Digests of the vocabularies."""
    return {f"vocabulary.{name}": entry["digest"] for name, entry in info["vocabularies"].items()}


def erase(folder: Path, info: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Removes the ids from a copied dataset folder.

    Raises:
      UserError: a feature repeats the ids, or a file is damaged.
    """
    schema = Schema.model_validate(info["config"]["schema"])
    _check_features(schema, ids)
    old = info["vocabularies"][ids.space]
    removed, freed = Removed(), ids.freed_rows(old["digest"])
    known = ids.ids.slice(0, 0)
    if path := vocabulary_files(folder, info).get(ids.space):
        before = Vocabulary.load(path)
        known = ids.ids.filter(pa.array(before.lookup(ids.ids) >= before.oov_rows))
        vocabulary, removed["rows"] = free_ids(path, ids)
        if removed["rows"]:
            _renew_lookup(path, vocabulary)
            info["vocabularies"] = info["vocabularies"] | Vocabularies({ids.space: vocabulary}).describe()
    eraser = _Eraser(folder, schema, ids, freed, info.get("impressions_format") == "columnar", removed)
    info["splits"] = {name: eraser.split(name, split) for name, split in info.get("splits", {}).items()}
    if removed["pairs"] and (folder / CANDIDATE_PROBABILITY).is_file():
        _write_probability(folder, info, eraser.types(PAIRS))
    if (folder / GOLDEN_IMPRESSIONS).is_file():
        removed["golden impressions"] = _erase_golden(folder / GOLDEN_IMPRESSIONS, ids, known)
    removed["rejected rows"] = erase_rejected(folder / REJECTED_FOLDER, ids)
    return +removed


def _renew_lookup(path: Path, vocabulary: Vocabulary) -> None:
    """Writes the look-up file of a changed vocabulary, if an older version has not left it out."""
    file = path.with_suffix(LOOKUP_SUFFIX)
    if file.is_file():
        vocabulary.id_lookup.save(new_file(file))


def _check_features(schema: Schema, ids: ForgottenIds) -> None:
    column = schema.id_spaces[ids.space].column
    for feature in schema.features:
        if feature.source_column == column:
            raise UserError(f"feature {feature.name!r} contains the ids of {ids.space!r} (column {column!r}): its "
                            "values cannot be forgotten; build the dataset again without these ids and train again")


class _Eraser:
    """Removes rows of pairs and impressions from the files of a dataset."""

    def __init__(self, folder: Path, schema: Schema, ids: ForgottenIds, freed: np.ndarray, columnar: bool,
                 removed: Removed):
        self._folder, self._schema, self._ids, self._freed = folder, schema, ids, freed
        self._columnar, self._removed = columnar, removed

    def types(self, split: str) -> Types:
        """Returns the type of each column of a split."""
        return record_types(self._schema, split)

    def split(self, name: str, entry: dict[str, Any]) -> dict[str, Any]:
        """Edits the files of a split and returns its entry of the manifest."""
        is_pairs = name.startswith(PAIRS)
        edit = self._pairs if is_pairs else self._impressions
        new = [edit_file(self._folder / shard["path"], self.types(name), edit, columnar=is_pairs or self._columnar)
               for shard in entry["shards"]]
        if not any(new):
            return entry
        shards = [shard | (found or {}) for shard, found in zip(entry["shards"], new, strict=True)]
        changed = {"examples": sum(shard["examples"] for shard in shards), "shards": shards}
        measures = self._measures(name, shards)
        if "missing" in entry and HISTORY in entry["missing"]:
            changed["missing"] = entry["missing"] | {HISTORY: measures.pop("empty_histories", 0)}
        return entry | add_rates({**changed, "measures": measures}) | changed

    def _pairs(self, table: pa.Table) -> pa.Table:
        return self._kept(table, np.isin(table[PAIR_COLUMNS[self._ids.space]].to_numpy(), self._freed), "pairs")

    def _impressions(self, table: pa.Table) -> pa.Table:
        table = self._kept(table, self._ids.contains(table[self._ids.column]), "impressions")
        if self._ids.space == "item" and self._schema.history and table.num_rows:
            lists, count = without_elements(table[HISTORY].combine_chunks(), self._freed)
            self._removed["history entries"] += count
            if count:
                table = table.set_column(table.column_names.index(HISTORY), HISTORY, lists)
        return table

    def _kept(self, table: pa.Table, forgotten: np.ndarray, what: str) -> pa.Table:
        self._removed[what] += int(forgotten.sum())
        return table.filter(pa.array(~forgotten)) if forgotten.any() else table

    def _measures(self, name: str, shards: list[dict[str, Any]]) -> dict[str, int]:
        measures = Removed()
        is_pairs = name.startswith(PAIRS)
        for table in _tables(self._folder, shards, self.types(name), columnar=is_pairs or self._columnar):
            measures.update(measure_pairs(table, user_oov_rows=self._schema.user.oov_rows,
                                          item_oov_rows=self._schema.item.oov_rows) if is_pairs
                            else measure_impressions(table, schema=self._schema))
        return dict(measures)


def record_types(schema: Schema, split: str) -> Types:
    """Returns the Arrow type of each column of a split's records."""
    if split.startswith(PAIRS):
        return {name: pa.int32() if dtype == "int32" else ARROW_TYPES[dtype]
                for name, dtype in pair_columns(schema).items()}
    return {name: column.arrow_type for name, column in record_columns(schema).items()}


def _tables(folder: Path, shards: list[dict[str, Any]], types: Types, *, columnar: bool) -> Iterator[pa.Table]:
    for shard in shards:
        yield from read_tables(folder / shard["path"], types, columnar=columnar)


def _write_probability(folder: Path, info: Mapping[str, Any], types: Types) -> None:
    """Counts the candidates of the remaining pairs again, as ``build_pairs`` does."""
    path = folder / CANDIDATE_PROBABILITY
    totals = np.zeros(len(np.load(path, mmap_mode="r")), np.int64)
    for table in _tables(folder, info["splits"][TRAIN_PAIRS]["shards"], types, columnar=True):
        totals += np.bincount(table["candidate"].to_numpy(), minlength=len(totals))
    np.save(new_file(path), totals / max(int(totals.sum()), 1))


def _erase_golden(path: Path, ids: ForgottenIds, known: pa.Array) -> int:
    """Removes golden impressions of the ids, and the ids from histories; returns the number of changed impressions.

    Histories are changed like those of the records. There, the entry of an id without a row cannot be recognized, so an
    impression with such an id in its history is removed.
    """
    table = read_table(path)
    changed = _in_golden(table, ids)
    if not changed.any():
        return 0
    if ids.column == ITEM_ID and HISTORY in table.column_names:
        lists = [[each for each in values if each not in set(known.to_pylist())]
                 for values in table[HISTORY].to_pylist()]
        place = table.column_names.index(HISTORY)
        table = table.set_column(place, table.schema.field(HISTORY), pa.array(lists, table[HISTORY].type))
    pq.write_table(table.filter(pa.array(~_in_golden(table, ids))), new_file(path))
    return int(changed.sum())


def _in_golden(table: pa.Table, ids: ForgottenIds) -> np.ndarray:
    """Returns bool [n]: golden impressions of the ids, or with one of them in the history."""
    found = ids.contains(table[ids.column])
    if ids.column == ITEM_ID and HISTORY in table.column_names:
        lists = table[HISTORY].combine_chunks()
        owners = np.repeat(np.arange(len(lists)), pc.list_value_length(lists).to_numpy())
        found[owners[ids.contains(lists.flatten())]] = True
    return found


def leaks(folder: Path, info: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds the ids, or rows that belong to no id, in a dataset."""
    schema = Schema.model_validate(info["config"]["schema"])
    free = np.empty(0, np.int64)
    if path := vocabulary_files(folder, info).get(ids.space):
        vocabulary = Vocabulary.load(path)
        free = vocabulary.free
        if count := int(ids.contains(vocabulary.known_ids).sum()):
            yield Leak(path, f"{count} ids have rows")
        file = path.with_suffix(LOOKUP_SUFFIX)
        if file.is_file() and (count := IdLookup.open(file, None).count_known(ids.ids)):
            yield Leak(file, f"{count} ids have rows")
    for name, split in info.get("splits", {}).items():
        is_pairs = name.startswith(PAIRS)
        columnar = is_pairs or info.get("impressions_format") == "columnar"
        for shard in split["shards"]:
            for table in read_tables(folder / shard["path"], record_types(schema, name), columnar=columnar):
                for place, count in _places(table, ids, free, is_pairs=is_pairs):
                    if count:
                        yield Leak(folder / shard["path"], f"{count} {place}")
    path = folder / CANDIDATE_PROBABILITY
    if path.is_file() and ids.space == "item" and (count := int((np.load(path)[free] != 0).sum())):
        yield Leak(path, f"{count} free rows have a probability")
    path = folder / GOLDEN_IMPRESSIONS
    if path.is_file() and (count := int(_in_golden(read_table(path), ids).sum())):
        yield Leak(path, f"{count} golden impressions contain ids")
    yield from rejected_leaks(folder / REJECTED_FOLDER, ids)


def _places(table: pa.Table, ids: ForgottenIds, free: np.ndarray, *, is_pairs: bool) -> Iterator[tuple[str, int]]:
    if is_pairs:
        yield "pairs of free rows", int(np.isin(table[PAIR_COLUMNS[ids.space]].to_numpy(), free).sum())
        return
    yield "impressions of ids", int(ids.contains(table[ids.column]).sum())
    yield "impressions of free rows", int(np.isin(table[ids.space].to_numpy(), free).sum())
    if ids.space == "item" and HISTORY in table.column_names:
        yield "history entries of free rows", int(np.isin(pc.list_flatten(table[HISTORY]).to_numpy(), free).sum())
