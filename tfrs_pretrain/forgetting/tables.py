"""Artifacts that contain tables: embeddings, rankers, checkpoints and best epochs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.artifact_names import (
    CHECKPOINT_KIND,
    MANIFEST,
    MATRIX_FILE,
    PREDICTIONS_FOLDER,
    TABLES_FOLDER,
    TRAINED_FILE,
    VOCABULARY_FILE,
)
from tfrs_pretrain.artifacts import file_digest, read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.artifact import Digests, Leak, Removed, free_ids
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.parquet_rows import drop_rows, read_table
from tfrs_pretrain.forgetting.staging import filled_rows, with_zero_rows
from tfrs_pretrain.names import SUFFIXES
from tfrs_pretrain.vocabulary import Vocabulary

CHECKPOINTS, BEST = SUFFIXES
VARIABLE = re.compile(r"\d+-(.*)\.npy")
# Stage I keeps values of items, such as sampling probabilities, in variables without a name.
UNNAMED = re.compile(r"Variable(_\d+)?")


def vocabulary_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Path]:
    """ID space -> vocabulary file of embeddings."""
    return {name: folder / name / VOCABULARY_FILE for name in manifest["tables"]}


def quoted_digests(folder: Path, manifest: Mapping[str, Any]) -> Digests:
    """Digests of vocabularies and matrices of embeddings."""
    tables = manifest["tables"]
    return ({f"vocabulary.{name}": entry["vocabulary_digest"] for name, entry in tables.items()}
            | {f"rows.{name}": entry["rows_digest"] for name, entry in tables.items()})


def erase_embeddings(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Frees and zeroes the rows of the ids in a copied embeddings folder."""
    removed = Removed()
    if ids.space in manifest["tables"]:
        table = folder / ids.space
        entry = manifest["tables"][ids.space]
        freed = ids.freed_rows(entry["vocabulary_digest"])
        vocabulary, removed["rows"] = free_ids(table / VOCABULARY_FILE, ids)
        removed["rows set to zero"] = with_zero_rows(table / MATRIX_FILE, freed)
        if (table / TRAINED_FILE).is_file():
            with_zero_rows(table / TRAINED_FILE, freed)
        entry = entry | {"vocabulary_digest": vocabulary.digest, "rows_digest": file_digest(table / MATRIX_FILE)}
        manifest["tables"] = manifest["tables"] | {ids.space: entry}
    return +removed


def embeddings_leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds the ids, and forgotten rows that are not zero, in embeddings."""
    if ids.space in manifest["tables"]:
        path = folder / ids.space / VOCABULARY_FILE
        if count := int(ids.contains(Vocabulary.load(path).known_ids).sum()):
            yield Leak(path, f"{count} ids have rows")
        digest = manifest["tables"][ids.space]["vocabulary_digest"]
        for name in (MATRIX_FILE, TRAINED_FILE):
            if (folder / ids.space / name).is_file():
                yield from _filled(folder / ids.space / name, ids.freed_rows(digest))


def _filled(path: Path, rows: np.ndarray) -> Iterator[Leak]:
    if count := len(filled_rows(path, rows)):
        yield Leak(path, f"{count} forgotten rows are not zero")


def _ranker_tables(manifest: Mapping[str, Any], space: str) -> list[str]:
    """Names of the ranker's tables whose rows are ids of a space."""
    return sorted({row["table"] for row in manifest["inputs"]["rows"] if row["vocabulary"] == space})


def erase_ranker(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Zeroes the rows of the ids in a copied ranker folder, and removes their predictions."""
    removed = Removed()
    freed = ids.freed_rows(manifest["vocabularies"].get(ids.space, ""))
    for name in _ranker_tables(manifest, ids.space):
        removed["rows set to zero"] += with_zero_rows(folder / TABLES_FOLDER / f"{name}.npy", freed)
    for path in sorted((folder / PREDICTIONS_FOLDER).glob("*.parquet")):
        removed["predictions"] += drop_rows(path, lambda table: _predicted(table, ids, freed))
    return +removed


def _predicted(table: pa.Table, ids: ForgottenIds, freed: np.ndarray) -> np.ndarray:
    found = ids.contains(table[ids.column])
    return found | np.isin(table[ids.space].to_numpy(), freed) if ids.space in table.column_names else found


def ranker_leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds the ids in predictions, and forgotten rows that are not zero, in a ranker."""
    freed = ids.freed_rows(manifest["vocabularies"].get(ids.space, ""))
    for name in _ranker_tables(manifest, ids.space):
        yield from _filled(folder / TABLES_FOLDER / f"{name}.npy", freed)
    for path in sorted((folder / PREDICTIONS_FOLDER).glob("*.parquet")):
        if count := int(_predicted(read_table(path), ids, freed).sum()):
            yield Leak(path, f"{count} predictions of ids")


def erase_variables(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Zeroes the rows of the ids in a copied checkpoint: in tables, optimizer state and other values of rows."""
    removed = Removed()
    for path, rows in _variables_of_space(folder, manifest, ids):
        removed["rows set to zero"] += with_zero_rows(path, rows)
    return +removed


def variable_leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds forgotten rows that are not zero in a checkpoint."""
    for path, rows in _variables_of_space(folder, manifest, ids):
        yield from _filled(path, rows)


def _variables_of_space(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds
                        ) -> Iterator[tuple[Path, np.ndarray]]:
    """Yields the files whose rows are those of the space, with the rows of the ids."""
    freed = ids.freed.get(ids.datasets[dataset_digest(folder, manifest)])
    if freed is None:
        return
    for path in sorted(folder.glob("*.npy")):
        changed = manifest.get("rows", {}).get(path.name)  # of an incremental checkpoint
        num_rows = [changed["num_rows"]] if changed else np.load(path, mmap_mode="r").shape[:1]
        if [*num_rows] == [freed.num_rows] and _is_of_space(_variable_name(path, manifest), ids):
            yield path, (np.flatnonzero(np.isin(np.load(folder / changed["file"]), freed.rows)) if changed
                         else freed.rows)


def dataset_digest(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Returns the digest by which a checkpoint names its dataset; a best epoch is of the run of the checkpoints beside.

    Raises:
      UserError: a best epoch has no checkpoints beside it, or is of a version that did not name its tables.
    """
    if "run" in manifest:
        return str(manifest["run"]["dataset_info_digest"])
    run = folder.parent.with_name(f"{folder.parent.name.removesuffix(BEST)}{CHECKPOINTS}")
    steps = sorted(path for path in run.glob("step-*") if (path / MANIFEST).is_file())
    if not steps or "tables" not in manifest:
        raise UserError(f"best epoch {str(folder)!r} has no checkpoints beside it, or is of an older version: "
                        "finish the run, or remove the folder")
    return dataset_digest(steps[-1], read_manifest(steps[-1], CHECKPOINT_KIND))


def _variable_name(path: Path, manifest: Mapping[str, Any]) -> str:
    if path.name in manifest.get("tables", {}):
        return f"{manifest['tables'][path.name]}_weights"
    found = VARIABLE.fullmatch(path.name)
    return found[1] if found else ""


def _is_of_space(variable: str, ids: ForgottenIds) -> bool:
    """Whether a variable belongs to a table of the space, by its name: those of a feature begin with its name."""
    if UNNAMED.fullmatch(variable):
        return ids.space == "item"
    owners = [name for name in (*ids.features, ids.space, f"fresh_{ids.space}") if variable.startswith(f"{name}_")]
    return bool(owners) and max(owners, key=len) in (ids.space, f"fresh_{ids.space}")
