"""Vocabulary files on any file system, and raw values to rows; each worker loads them once."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from beam_pipelines.files import open_file, written_whole
from beam_pipelines.job import Job
from tfrs_pretrain.data.dataset import VOCABULARY_FOLDER
from tfrs_pretrain.vocabulary import MISSING, Vocabulary


@dataclasses.dataclass(frozen=True)
class Vocabularies:
    """All vocabularies of a schema, by name of the ID space or feature."""

    by_name: dict[str, Vocabulary]

    @classmethod
    def load(cls, job: Job) -> "Vocabularies":
        return cls({name: load_vocabulary(vocabulary_path(job, name)) for name in job.schema.vocabularies})

    def rows(self, name: str, column: pa.Array) -> np.ndarray:
        """int32 [n] rows of plain or dictionary-encoded raw values, null where missing."""
        vocabulary = self.by_name[name]
        if pa.types.is_int64(column.type):
            return vocabulary.rows(column).astype(np.int32)
        # Looking up each distinct string once is several times faster than each occurrence.
        column = compact(column) if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        missing = pa.scalar(MISSING[vocabulary.dtype], column.type.value_type)
        dictionary = pa.concat_arrays([column.dictionary, pa.array([missing.as_py()], column.type.value_type)])
        indices = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
        return vocabulary.rows(dictionary).astype(np.int32)[indices]

    def describe(self) -> dict[str, Any]:
        """What dataset_info.json says about each vocabulary."""
        return {name: {"dtype": vocabulary.dtype, "oov_rows": vocabulary.oov_rows, "rows": vocabulary.size,
                       "ids": len(vocabulary.ids), "digest": vocabulary.digest, "count": int(vocabulary.counts.sum())}
                for name, vocabulary in self.by_name.items()}


def vocabulary_path(job: Job, name: str) -> str:
    return job.path(VOCABULARY_FOLDER, f"{name}.parquet")


def save_vocabulary(vocabulary: Vocabulary, path: str) -> None:
    """Writes to any file system; the class itself knows local files."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "vocabulary.parquet"
        vocabulary.save(local)
        with written_whole(path) as file:
            file.write(local.read_bytes())


def load_vocabulary(path: str) -> Vocabulary:
    """Reads what ``save_vocabulary`` wrote."""
    with tempfile.TemporaryDirectory() as folder, open_file(path) as file:
        local = Path(folder) / "vocabulary.parquet"
        local.write_bytes(file.read())
        return Vocabulary.load(local)


def compact(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values with a dictionary no longer than the column, as after a join with a large table."""
    if len(column.dictionary) <= len(column):
        return column
    return column.dictionary_decode().dictionary_encode()
