"""Vocabulary files, and their look-up files beside them, on any file system."""

import dataclasses
import posixpath
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from beam_pipelines.jobs.job import Job
from beam_pipelines.records.files import (
    atomic_write,
    check_file,
    listed_digest,
    local_output,
    open_file,
    read_manifest_file,
)
from tfrs_pretrain.artifact_names import (
    DATASET_INFO,
    DATASET_KIND,
    LOOKUP_SUFFIX,
    VOCABULARY_FOLDER,
    VOCABULARY_KIND,
)
from tfrs_pretrain.config import Windows
from tfrs_pretrain.errors import UserError
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

    def describe(self) -> dict[str, Any]:
        """Returns the section ``vocabularies`` of dataset_info.json."""
        return {name: _describe(vocabulary) for name, vocabulary in self.by_name.items()}


def _describe(vocabulary: Vocabulary) -> dict[str, Any]:
    counts = vocabulary.counts[vocabulary.counts > 0]
    return {"dtype": vocabulary.dtype, "oov_rows": vocabulary.oov_rows, "rows": vocabulary.num_rows,
            "ids": vocabulary.num_ids, "digest": vocabulary.digest, "count": int(counts.sum()),
            "occurring_ids": len(counts), "median_count": float(np.median(counts)) if len(counts) else 0.0}


def vocabulary_path(folder: str, name: str) -> str:
    """Path of a vocabulary in a dataset or vocabulary folder."""
    return posixpath.join(folder, VOCABULARY_FOLDER, f"{name}.parquet")


def lookup_path(folder: str, name: str) -> str:
    """Path of the look-up file of a vocabulary."""
    return posixpath.join(folder, VOCABULARY_FOLDER, f"{name}{LOOKUP_SUFFIX}")


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


def save_vocabulary(vocabulary: Vocabulary, folder: str, name: str) -> None:
    """Writes a vocabulary and its look-up file to any file system; ``Vocabulary.save`` supports local files only."""
    with local_output(vocabulary_path(folder, name)) as local:
        vocabulary.save(local)
    save_lookup(vocabulary, folder, name)


def save_lookup(vocabulary: Vocabulary, folder: str, name: str) -> None:
    """Writes the look-up file of a vocabulary to any file system."""
    with local_output(lookup_path(folder, name)) as local:
        vocabulary.id_lookup.save(local)


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
    """Copies a vocabulary of ``job.vocabulary`` to the output folder, so readers can map rows back to ids.

    The look-up file of a vocabulary that an older version wrote is made here.
    """
    assert job.vocabulary is not None
    info = vocabulary_info(job.vocabulary)
    _copy(check_file(job.vocabulary, info, vocabulary_path("", name)), vocabulary_path(job.folder, name))
    if listed_digest(info, lookup_path("", name)):
        _copy(check_file(job.vocabulary, info, lookup_path("", name)), lookup_path(job.folder, name))
    else:
        save_lookup(load_finished_vocabulary(job.vocabulary, name, info), job.folder, name)
    return name


def _copy(source: str, target: str) -> None:
    with open_file(source) as read, atomic_write(target) as write:
        shutil.copyfileobj(read, write)
