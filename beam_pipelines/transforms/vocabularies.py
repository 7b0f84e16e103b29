"""Vocabulary files on any file system, and lookup of rows; each worker loads the vocabularies once."""

import dataclasses
import posixpath
import shutil
import tempfile
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.utils.shared import Shared

from beam_pipelines.jobs.job import Job
from beam_pipelines.records.files import atomic_write, check_file, open_file, read_manifest_file
from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND, VOCABULARY_FOLDER, VOCABULARY_KIND
from tfrs_pretrain.config import Windows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.values import compact_dictionary
from tfrs_pretrain.value_types import MISSING
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_changes import VocabularyChanges


@dataclasses.dataclass(frozen=True)
class Vocabularies:
    """All vocabularies of a schema.

    Attributes:
      by_name: name of the id space or feature -> vocabulary.
    """

    by_name: dict[str, Vocabulary]

    @classmethod
    def load(cls, job: Job) -> "Vocabularies":
        """Loads the vocabularies that a job maps ids with."""
        if job.vocabulary:
            info = vocabulary_info(job.vocabulary)
            return cls({name: load_finished_vocabulary(job.vocabulary, name, info)
                        for name in job.schema.vocabularies})
        return cls({name: load_vocabulary(vocabulary_path(job.folder, name)) for name in job.schema.vocabularies})

    def lookup(self, name: str, column: pa.Array) -> np.ndarray:
        """Returns int32 [n] rows of raw values [n], plain or dictionary-encoded; null is the missing value."""
        vocabulary = self.by_name[name]
        if pa.types.is_int64(column.type):
            return vocabulary.lookup(column).astype(np.int32)
        # Looking up each distinct string once is several times faster than looking up each occurrence.
        column = compact_dictionary(column) if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        missing = pa.array([MISSING[vocabulary.dtype]], column.type.value_type)
        indices = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
        rows: np.ndarray = vocabulary.lookup(pa.concat_arrays([column.dictionary, missing])).astype(np.int32)[indices]
        return rows

    def describe(self) -> dict[str, Any]:
        """Returns the section ``vocabularies`` of dataset_info.json."""
        return {name: _describe(vocabulary) for name, vocabulary in self.by_name.items()}


def _describe(vocabulary: Vocabulary) -> dict[str, Any]:
    counts = vocabulary.counts[vocabulary.counts > 0]
    return {"dtype": vocabulary.dtype, "oov_rows": vocabulary.oov_rows, "rows": vocabulary.num_rows,
            "ids": vocabulary.num_ids, "digest": vocabulary.digest, "count": int(counts.sum()),
            "occurring_ids": len(counts), "median_count": float(np.median(counts)) if len(counts) else 0.0}


class SharedVocabularies:
    """The vocabularies of one pipeline: all its transforms in a worker process share one copy. Beam pickles this."""

    def __init__(self, job: Job):
        self._job, self._shared = job, Shared()

    def get(self) -> Vocabularies:
        """Returns the vocabularies; the first call in a process loads them."""
        vocabularies: Vocabularies = self._shared.acquire(lambda: Vocabularies.load(self._job))
        return vocabularies


class VocabularyDoFn(beam.DoFn):
    """A DoFn with vocabularies."""

    def __init__(self, shared: SharedVocabularies):
        self._shared = shared

    def setup(self) -> None:
        self._vocabularies = self._shared.get()


def vocabulary_path(folder: str, name: str) -> str:
    """Path of a vocabulary in a dataset or vocabulary folder."""
    return posixpath.join(folder, VOCABULARY_FOLDER, f"{name}.parquet")


def vocabulary_info(folder: str) -> dict[str, Any]:
    """Reads the manifest of a dataset or vocabulary folder.

    Raises:
      UserError: the manifest is missing, damaged or of another kind.
    """
    try:
        info = read_manifest_file(posixpath.join(folder, DATASET_INFO))
    except (OSError, ValueError) as error:
        raise UserError(f"vocabulary folder {folder!r} has no readable {DATASET_INFO}: name a folder that "
                        "build_vocabulary or build_dataset finished") from error
    if info.get("kind") not in (DATASET_KIND, VOCABULARY_KIND):
        raise UserError(f"vocabulary folder {folder!r} has kind {info.get('kind')!r}, expected {VOCABULARY_KIND!r} or "
                        f"{DATASET_KIND!r}: name another folder")
    return dict(info)


def check_vocabularies(job: Job, folder: str) -> None:
    """Checks that the vocabularies of a folder fit a job.

    Raises:
      UserError: a vocabulary is missing (accepted in the folder of --extend), damaged, has another dtype or another
        number of out-of-vocabulary rows, or was built from data of the job's validation or test window.
    """
    info = vocabulary_info(folder)
    for name, rules in job.schema.vocabularies.items():
        entry = info["vocabularies"].get(name)
        if entry is None and folder == job.extend:
            continue
        found = entry and (entry["dtype"], entry["oov_rows"])
        if found != (rules.dtype, rules.oov_rows):
            raise UserError(f"vocabulary {name!r} of {folder!r} has (dtype, oov_rows) {found}, the configuration "
                            f"declares {(rules.dtype, rules.oov_rows)}: rows would move; use a vocabulary of the same "
                            "schema")
        check_file(folder, info, vocabulary_path("", name))
    first = next((split for split in job.splits if split != "train"), "validation")
    windows, evaluation = Windows.model_validate(info["config"]["windows"]), getattr(job.config.windows, first)
    latest = max((windows.pretrain, windows.train), key=lambda window: window.bounds[1])
    if latest.temporal == evaluation.temporal and latest.bounds[1] > evaluation.bounds[0]:
        raise UserError(f"vocabularies of {folder!r} were built from {latest}, which overlaps the {first} window "
                        f"{evaluation}: nothing may be learned from it; use an earlier vocabulary")


def save_vocabulary(vocabulary: Vocabulary, path: str) -> None:
    """Writes a vocabulary to any file system; ``Vocabulary.save`` supports local files only."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "vocabulary.parquet"
        vocabulary.save(local)
        with atomic_write(path) as file:
            file.write(local.read_bytes())


def load_vocabulary(path: str) -> Vocabulary:
    """Reads a vocabulary from any file system."""
    with tempfile.TemporaryDirectory() as folder, open_file(path) as file:
        local = Path(folder) / "vocabulary.parquet"
        local.write_bytes(file.read())
        return Vocabulary.load(local)


def load_finished_vocabulary(folder: str, name: str, info: dict[str, Any]) -> Vocabulary:
    """Reads a vocabulary of a finished folder after comparing its file with the manifest.

    Args:
      folder: dataset or vocabulary folder.
      name: id space or feature.
      info: the folder's manifest, see ``vocabulary_info``.

    Raises:
      UserError: the file is missing or damaged.
    """
    return load_vocabulary(check_file(folder, info, vocabulary_path("", name)))


def extension_changes(job: Job, vocabularies: Vocabularies) -> dict[str, dict[str, int]]:
    """Compares each vocabulary with the one of ``job.extend``, if that has it.

    Returns:
      name -> ``VocabularyChanges`` as JSON.

    Raises:
      RuntimeError: the numbers of a vocabulary do not add up.
    """
    assert job.extend is not None
    info = vocabulary_info(job.extend)
    return {name: dataclasses.asdict(VocabularyChanges.between(
        load_finished_vocabulary(job.extend, name, info), vocabulary))
            for name, vocabulary in vocabularies.by_name.items() if name in info["vocabularies"]}


def copy_vocabulary(name: str, job: Job) -> str:
    """Copies a vocabulary of ``job.vocabulary`` to the output folder, so readers can map rows back to ids."""
    assert job.vocabulary is not None
    path = check_file(job.vocabulary, vocabulary_info(job.vocabulary), vocabulary_path("", name))
    with open_file(path) as source, \
            atomic_write(vocabulary_path(job.folder, name)) as file:
        shutil.copyfileobj(source, file)
    return name
