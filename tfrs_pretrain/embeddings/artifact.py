"""The embeddings artifact: pretrained rows, their vocabularies, and a manifest that says what they were learnt from.

::

    <table>/rows.npy            float32 [rows, dim], memory-mappable
    <table>/vocabulary.parquet  the id at each row
    manifest.json               shapes, digests, window, configuration, metrics; written last
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifacts import file_digest, read_manifest, staged_folder, write_manifest
from tfrs_pretrain.config import Window
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary import Vocabulary

KIND = "embeddings"
ROWS = "rows.npy"
VOCABULARY = "vocabulary.parquet"


def save_embeddings(folder: Path, tables: dict[str, np.ndarray], vocabularies: dict[str, Vocabulary],
                    manifest: dict[str, Any], *, overwrite: bool) -> None:
    """Writes the artifact.

    Args:
      folder: where to.
      tables: name -> float32 [rows, dim].
      vocabularies: name -> vocabulary of that table; its size must be the table's rows.
      manifest: what else to record; ``window`` (the pretraining window) is required.
      overwrite: replace a folder that is there.

    Raises:
      UserError: the folder is not empty and ``overwrite`` is false.
      ValueError: a table and its vocabulary differ in size.
    """
    with staged_folder(folder, overwrite=overwrite) as stage:
        entries = {name: _save_table(stage / name, rows, vocabularies[name]) for name, rows in tables.items()}
        write_manifest(stage, KIND, {**manifest, "tables": entries})


def _save_table(folder: Path, rows: np.ndarray, vocabulary: Vocabulary) -> dict[str, Any]:
    if len(rows) != vocabulary.size:
        raise ValueError(f"table {folder.name!r} has {len(rows)} rows, its vocabulary {vocabulary.size}")
    folder.mkdir()
    np.save(folder / ROWS, np.ascontiguousarray(rows, np.float32))
    vocabulary.save(folder / VOCABULARY)
    return {"shape": list(rows.shape), "dtype": "float32", "rows_digest": file_digest(folder / ROWS),
            "vocabulary_digest": vocabulary.digest}


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """A finished artifact. Make it with ``Embeddings.open``."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str) -> Embeddings:
        """Opens an artifact and checks every table's file against the manifest.

        Raises:
          UserError: the folder is missing or unfinished, or a file is not the one that the manifest describes.
        """
        folder = Path(folder)
        embeddings = cls(folder, read_manifest(folder, KIND))
        for name in embeddings.tables:
            embeddings._check_file(name)
        return embeddings

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.manifest["tables"])

    @property
    def window(self) -> Window:
        """What time the rows were learnt from."""
        return Window.model_validate(self.manifest["window"])

    def rows(self, name: str) -> np.memmap:
        """float32 [rows, dim], read from disk as it is used.

        Raises:
          UserError: the artifact has no such table, or the file's shape or dtype is not the manifest's.
        """
        entry = self._entry(name)
        path = self.folder / name / ROWS
        try:
            rows = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"embeddings {str(path)!r} cannot be read ({error}): copy the artifact again") from error
        expected, came = (entry["dtype"], entry["shape"]), (str(rows.dtype), list(rows.shape))
        if expected != came:
            raise UserError(f"embeddings {str(path)!r}: expected {expected[0]} {expected[1]}, found {came[0]} "
                            f"{came[1]}; copy the artifact again, or pretrain again")
        return rows

    def vocabulary(self, name: str) -> Vocabulary:
        """The id at each row of a table."""
        self._entry(name)
        return Vocabulary.load(self.folder / name / VOCABULARY)

    def check_fits(self, dataset: Dataset) -> None:
        """Checks that the rows mean the dataset's ids and were not learnt from the time in which it ranks.

        Raises:
          UserError: a vocabulary differs, or the pretraining window reaches into or past the start of the ranking
            windows and the dataset's configuration does not allow it.
        """
        for name in dataset.schema.id_spaces:
            expected, came = dataset.digests[name], self._entry(name)["vocabulary_digest"]
            if expected != came:
                raise UserError(f"embeddings {str(self.folder)!r}: table {name!r} was learnt for another vocabulary "
                                f"(digest {came[:12]}, the dataset's is {expected[:12]}): pretrain on this dataset")
        self.check_window(dataset)

    def check_window(self, dataset: Dataset) -> None:
        """The part of ``check_fits`` that concerns time."""
        learnt, ranking = self.window, dataset.windows.train
        if learnt.temporal != ranking.temporal:
            raise UserError(f"embeddings {str(self.folder)!r} were learnt from window {learnt}, which cannot be "
                            f"compared with the dataset's ranking window {ranking}: pretrain on this dataset")
        if learnt.bounds[1] > ranking.bounds[0] and not dataset.windows.allow_overlap:
            raise UserError(f"embeddings {str(self.folder)!r} were learnt from window {learnt}, which must end before "
                            f"the ranking window {ranking} starts (overlap leaks ranking labels into the rows): "
                            "pretrain on an earlier window, or set windows.allow_overlap=true in the dataset")

    def carry_into(self, table: np.ndarray, name: str, dataset: Dataset) -> int:
        """Puts the rows of ids that are known here into a table of the dataset, whatever row they have in either.

        Shared rows come along where there are as many. Returns the number of known ids.

        Raises:
          UserError: the table is missing, or has another number of columns or another type of id.
        """
        before, known, now = self.rows(name), self.vocabulary(name), dataset.vocabulary(name)
        if (before.shape[1], known.dtype) != (table.shape[1], now.dtype):
            raise UserError(f"embeddings {str(self.folder)!r}: table {name!r} has {before.shape[1]} columns and ids of "
                            f"type {known.dtype}, here it has {table.shape[1]} and {now.dtype}: set pretraining.dim to "
                            "that, or pretrain from random rows")
        rows = known.rows(now.ids)
        own = rows >= known.oov_rows
        table[now.oov_rows:][own] = before[rows[own]]
        if known.oov_rows == now.oov_rows:
            table[:now.oov_rows] = before[:known.oov_rows]
        return int(own.sum())

    def _entry(self, name: str) -> dict[str, Any]:
        if name not in self.manifest["tables"]:
            raise UserError(f"embeddings {str(self.folder)!r} have no table {name!r}, only {sorted(self.tables)}: "
                            "pretrain with the schema of this dataset")
        return dict(self.manifest["tables"][name])

    def _check_file(self, name: str) -> None:
        self.rows(name)
        expected, came = self._entry(name)["rows_digest"], file_digest(self.folder / name / ROWS)
        if expected != came:
            raise UserError(f"embeddings {str(self.folder / name / ROWS)!r}: expected digest {expected[:12]}, found "
                            f"{came[:12]}; the file changed after it was written: copy the artifact again")
