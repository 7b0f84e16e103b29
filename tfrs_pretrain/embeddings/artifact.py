"""The embeddings artifact: pretrained tables, their vocabularies, and a manifest that describes their training.

::

    <table>/rows.npy            float32 [num_rows, dim], memory-mappable
    <table>/vocabulary.parquet  the id of each row
    <table>/trained.npy         bool [num_rows], the trained rows, if the run started from earlier embeddings
    manifest.json               shapes, digests, window, configuration, metrics; written last
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.array_files import BlockwiseArray, write_array
from tfrs_pretrain.artifact_names import EMBEDDINGS_KIND, MATRIX_FILE, TRAINED_FILE, VOCABULARY_FILE
from tfrs_pretrain.artifacts import file_digest, read_manifest, write_manifest
from tfrs_pretrain.config import Window
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import FILES, check_files, checked_file
from tfrs_pretrain.output_folders import inside, staged_folder
from tfrs_pretrain.row_arrays import Rows
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_changes import RowMap


@dataclasses.dataclass(frozen=True)
class TableEntry:
    """A table's entry in the manifest.

    Attributes:
      shape: [num_rows, dim].
      dtype: numpy name, always "float32".
      rows_digest: SHA-256 of the matrix file.
      vocabulary_digest: ``Vocabulary.digest`` of the ids.
    """

    shape: list[int]
    dtype: str
    rows_digest: str
    vocabulary_digest: str


def save_embeddings(folder: Path, tables: Mapping[str, np.ndarray | BlockwiseArray],
                    vocabularies: dict[str, Vocabulary], manifest: dict[str, Any], *, overwrite: bool,
                    trained: Mapping[str, np.ndarray] | None = None) -> None:
    """Write the artifact.

    Args:
      folder: the artifact's folder.
      tables: name -> float32 [num_rows, dim]; written block by block.
      vocabularies: table name -> vocabulary of ``num_rows`` rows.
      manifest: further content of the manifest; ``window`` (the pretraining window) is required.
      overwrite: replace an existing folder.
      trained: table name -> bool [num_rows], see ``Embeddings.trained_rows``; None: the run started at random rows.

    Raises:
      UserError: the folder is not empty and ``overwrite`` is false.
      ValueError: a table and its vocabulary differ in size.
    """
    with staged_folder(folder, overwrite=overwrite) as stage:
        entries = {name: _save_table(inside(stage, name), matrix, vocabularies[name])
                   for name, matrix in tables.items()}
        for name, rows in (trained or {}).items():
            np.save(inside(stage, name, TRAINED_FILE), rows)
        write_manifest(stage, EMBEDDINGS_KIND, {**manifest, "tables": {
            name: dataclasses.asdict(entry) for name, entry in entries.items()}})


def _save_table(folder: Path, matrix: np.ndarray | BlockwiseArray, vocabulary: Vocabulary) -> TableEntry:
    if matrix.shape[0] != vocabulary.num_rows:
        raise ValueError(f"table {folder.name!r} has {matrix.shape[0]} rows, its vocabulary {vocabulary.num_rows}")
    folder.mkdir()
    blocks = [matrix] if isinstance(matrix, np.ndarray) else matrix.blocks()
    write_array(folder / MATRIX_FILE, matrix.shape, np.dtype(np.float32), blocks)
    vocabulary.save(folder / VOCABULARY_FILE)
    return TableEntry(list(matrix.shape), "float32", file_digest(folder / MATRIX_FILE), vocabulary.digest)


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """A finished artifact; construct it with ``Embeddings.open``.

    Attributes:
      folder: the artifact's folder.
      manifest: the content of its manifest.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str) -> Embeddings:
        """Open an artifact and verify its files against the manifest.

        Raises:
          UserError: the folder is missing or unfinished, or a file differs from the manifest's description.
        """
        folder = Path(folder)
        embeddings = cls(folder, read_manifest(folder, EMBEDDINGS_KIND))
        check_files(folder, embeddings.manifest)
        for name in embeddings.tables:
            embeddings._verify(name)
        return embeddings

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(self.manifest["tables"])

    @property
    def window(self) -> Window:
        """The time window of the training data."""
        return Window.model_validate(self.manifest["window"])

    def matrix(self, name: str) -> np.ndarray:
        """float32 [num_rows, dim]: a table, memory-mapped.

        Raises:
          UserError: there is no such table, or the file's shape or dtype differs from the manifest's.
        """
        entry = self._entry(name)
        path = self._file(name, MATRIX_FILE)
        try:
            matrix: np.ndarray = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"embeddings {str(path)!r} cannot be read ({error}): copy the artifact again") from error
        dtype, shape = str(matrix.dtype), list(matrix.shape)
        if (dtype, shape) != (entry.dtype, entry.shape):
            raise UserError(f"embeddings {str(path)!r}: expected {entry.dtype} {entry.shape}, found {dtype} {shape}; "
                            "copy the artifact again, or pretrain again")
        return matrix

    def vocabulary(self, name: str) -> Vocabulary:
        """The ids of a table's rows."""
        self._entry(name)
        return Vocabulary.load(self._file(name, VOCABULARY_FILE))

    def check_compatible(self, dataset: Dataset) -> None:
        """Check that the rows stand for the dataset's ids and were trained on data before its ranking windows.

        Raises:
          UserError: a vocabulary differs, or the pretraining window ends after the start of the ranking windows and the
            dataset's configuration does not allow it.
        """
        for name in dataset.schema.id_spaces:
            expected, found = dataset.digests[name], self._entry(name).vocabulary_digest
            if expected != found:
                raise UserError(f"embeddings {str(self.folder)!r}: table {name!r} was trained for another vocabulary "
                                f"(digest {found[:12]}, the dataset's is {expected[:12]}): pretrain on this dataset")
        self.check_window(dataset)

    def check_window(self, dataset: Dataset) -> None:
        """The part of ``check_compatible`` that concerns time."""
        trained, ranking = self.window, dataset.windows.train
        if trained.temporal != ranking.temporal:
            raise UserError(f"embeddings {str(self.folder)!r} were trained on window {trained}, which cannot be "
                            f"compared with the dataset's ranking window {ranking}: pretrain on this dataset")
        if trained.bounds[1] > ranking.bounds[0] and not dataset.windows.allow_overlap:
            raise UserError(f"embeddings {str(self.folder)!r} were trained on window {trained}, which must end before "
                            f"the ranking window {ranking} starts (overlap leaks ranking labels into the rows): "
                            "pretrain on an earlier window, or set windows.allow_overlap=true in the dataset")

    def copy_known_rows(self, table: Rows, name: str, dataset: Dataset) -> tuple[Rows, int]:
        """Copy the rows of the ids that the dataset also has into its table, matching by id.

        The shared rows of unknown ids are copied if both vocabularies have the same number of them.

        Args:
          table: float32 [num_rows, dim] of the dataset's vocabulary.
          name: name of the table.
          dataset: the dataset to train on.

        Returns:
          The table with these rows, and the number of ids copied.

        Raises:
          UserError: there is no such table, or its width or id type differs.
        """
        source, known, current = self.matrix(name), self.vocabulary(name), dataset.vocabulary(name)
        if (source.shape[1], known.dtype) != (table.shape[1], current.dtype):
            raise UserError(f"embeddings {str(self.folder)!r}: table {name!r} has {source.shape[1]} columns and ids of "
                            f"type {known.dtype}, here it has {table.shape[1]} and {current.dtype}: set "
                            "pretraining.dim to that, or pretrain from random rows")
        row_map = RowMap.between(known, current)
        return row_map.copy(source, table), len(row_map.target)

    def trained_rows(self, name: str) -> np.ndarray | None:
        """bool [num_rows]: rows that Stage I trained, in this run or in one that it started from.

        None if the run started at random rows: then it trained the rows of the ids in its window.
        """
        self._entry(name)
        if not inside(self.folder, name, TRAINED_FILE).exists():
            return None
        trained: np.ndarray = np.load(self._file(name, TRAINED_FILE))
        return trained

    def rows_after(self, name: str, later: Vocabulary) -> np.ndarray:
        """bool [later.num_rows]: trained rows of a run over ``later`` that started from these embeddings."""
        earlier, trained = self.vocabulary(name), self.trained_rows(name)
        row_map = RowMap.between(earlier, later)
        rows = later.occurring.copy()
        rows[row_map.target] |= (earlier.occurring if trained is None else trained)[row_map.source]
        return rows

    def _entry(self, name: str) -> TableEntry:
        if name not in self.manifest["tables"]:
            raise UserError(f"embeddings {str(self.folder)!r} have no table {name!r}, only {sorted(self.tables)}: "
                            "pretrain with the schema of this dataset")
        return TableEntry(**self.manifest["tables"][name])

    def _file(self, table: str, name: str) -> Path:
        return checked_file(self.folder, self.manifest, inside(self.folder, table, name).relative_to(
            self.folder).as_posix())

    def _verify(self, name: str) -> None:
        self.matrix(name)
        if FILES in self.manifest:
            return
        # An older version listed no files, but the digest of each matrix.
        path = inside(self.folder, name, MATRIX_FILE)
        expected, found = self._entry(name).rows_digest, file_digest(path)
        if expected != found:
            raise UserError(f"embeddings {str(path)!r}: expected digest {expected[:12]}, found {found[:12]}; the file "
                            "changed after it was written: copy the artifact again")
