"""Look-up of rows in workers: all processes of a machine map the same files, and load no vocabulary."""

import functools
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.utils.shared import Shared

from beam_pipelines.jobs.job import Job
from beam_pipelines.records.files import check_file, listed_digest, open_file
from beam_pipelines.records.local_copies import local_copy
from beam_pipelines.transforms.vocabularies import (
    load_finished_vocabulary,
    lookup_path,
    vocabulary_info,
    vocabulary_path,
)
from tfrs_pretrain.features.values import compact_dictionary
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.value_types import MISSING
from tfrs_pretrain.vocabulary import occurring_rows


class IdLookups:
    """The look-ups of all vocabularies of a schema.

    Args:
      by_name: name of the id space or feature -> look-up.
      read_occurring: name -> bool [rows], see ``Vocabulary.occurring``.
    """

    def __init__(self, by_name: dict[str, IdLookup], read_occurring: Callable[[str], np.ndarray]):
        self._by_name = by_name
        self.occurring = functools.cache(read_occurring)

    @classmethod
    def open(cls, job: Job) -> "IdLookups":
        """Opens the look-ups that a job maps ids with.

        Raises:
          UserError: a file is missing, damaged or belongs to another vocabulary.
        """
        folder = job.vocabulary or job.folder
        info = vocabulary_info(folder) if job.vocabulary else None
        return cls({name: open_lookup(folder, name, info) for name in job.schema.vocabularies},
                   functools.partial(_read_occurring, folder))

    def lookup(self, name: str, column: pa.Array) -> np.ndarray:
        """Returns int32 [n] rows of raw values [n], plain or dictionary-encoded; null is the missing value."""
        lookup = self._by_name[name]
        if pa.types.is_int64(column.type):
            return lookup.lookup(column).astype(np.int32)
        # Looking up each distinct string once is several times faster than looking up each occurrence.
        column = compact_dictionary(column) if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        missing = pa.array([MISSING[lookup.dtype]], column.type.value_type)
        indices = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
        rows: np.ndarray = lookup.lookup(pa.concat_arrays([column.dictionary, missing])).astype(np.int32)[indices]
        return rows

    def num_rows(self, name: str) -> int:
        """Number of rows of a table for a vocabulary."""
        return self._by_name[name].num_rows


def open_lookup(folder: str, name: str, info: dict[str, Any] | None) -> IdLookup:
    """Opens a look-up; ``info`` is the manifest, None for the folder that this job writes.

    Raises:
      UserError: a file is missing, damaged or belongs to another vocabulary.
    """
    if info is None:
        return IdLookup.open(local_copy(lookup_path(folder, name)), None)
    if listed_digest(info, lookup_path("", name)) is None:  # an older version wrote the folder
        return load_finished_vocabulary(folder, name, info).id_lookup
    path = check_file(folder, info, lookup_path("", name))
    return IdLookup.open(local_copy(path), info["vocabularies"][name]["digest"])


def _read_occurring(folder: str, name: str) -> np.ndarray:
    with open_file(vocabulary_path(folder, name)) as file:
        return occurring_rows(file)


class SharedLookups:
    """The look-ups of one pipeline: all its transforms in a worker process share one copy. Beam pickles this."""

    def __init__(self, job: Job):
        self._job, self._shared = job, Shared()

    def get(self) -> IdLookups:
        """Returns the look-ups; the first call in a process opens them."""
        lookups: IdLookups = self._shared.acquire(lambda: IdLookups.open(self._job))
        return lookups


class LookupDoFn(beam.DoFn):
    """A DoFn that looks ids up."""

    def __init__(self, shared: SharedLookups):
        self._shared = shared

    def setup(self) -> None:
        self._lookups = self._shared.get()
