"""The dataset folder, which the Beam jobs write and both stages read.

::

    vocabulary/<name>.parquet                        one per ID space and categorical feature: ids in row order
    vocabulary/<name>.lookup.arrow                   its sorted hashes with rows, see ``id_lookup``
    pairs/{train,heldout}-SSSSS-of-NNNNN.tfrecord    columnar blocks for Stage I (.tfrecord.gz where compressed)
    pairs/candidate_probability.npy                  float64 [item rows]: share of each item row in pairs/train
    impressions/{train,validation,test}-SSSSS-of-NNNNN.tfrecord   one tf.Example per impression for Stage II
    golden.parquet                                   validation impressions with raw values, to check exports
    dataset_info.json                                schema, windows, counts, digests, checksums; written last

Impression records have the columns of ``record_columns``. A pair block has the columns of ``pair_columns``, each a
little-endian array in one bytes value. Impressions may be blocks too (``impressions_format`` in dataset_info.json): a
column without a fixed width is then two, ``name`` with all values and ``name.lengths`` with the int32 number of values
in each row.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import (
    CANDIDATE_PROBABILITY,
    DATASET_INFO,
    DATASET_KIND,
    LOOKUP_SUFFIX,
    VOCABULARY_FOLDER,
)
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Windows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Moments
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.file_digests import FILES, checked_file
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.output_folders import inside
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, KEY, LABEL, REQUEST, USER_ID, USER_ROW, WEIGHT, Schema
from tfrs_pretrain.vocabulary import Vocabulary

PAIR_SPLITS = ("pairs/train", "pairs/heldout")
IMPRESSION_SPLITS = ("impressions/train", "impressions/validation", "impressions/test")


def shard_path(split: str, shard: int, shards: int, *, compressed: bool = False) -> str:
    """Path of a TFRecord file relative to the dataset folder."""
    return f"{split}-{shard:05d}-of-{shards:05d}.tfrecord{'.gz' if compressed else ''}"


def compression_type(path: str) -> str:
    """Compression of a file, by its name, as an argument of ``tf.data.TFRecordDataset``."""
    return "GZIP" if path.endswith(".gz") else ""


def pair_columns(schema: Schema) -> dict[str, str]:
    """Column -> dtype ("int32" or "float32") of a block of pairs.

    ``query`` and ``candidate`` are rows. If the schema has a relation, ``relation`` is an index into ``relations`` of
    dataset_info.json, and ``weight`` is the weight of that relation.
    """
    columns = {"query": "int32", "candidate": "int32"}
    return columns | ({"relation": "int32", "weight": "float32"} if schema.relation else {})


def record_columns(schema: Schema) -> dict[str, RecordColumn]:
    """Columns of an impression record, those of one value first.

    Every feature has a column, privileged features too. ``key`` is a 64-bit hash that identifies the impression;
    ``request``, if the schema has a request column, is a hash that all impressions of a request share.
    """
    columns = {KEY: RecordColumn("int64"), USER_ID: RecordColumn(schema.user.dtype),
               ITEM_ID: RecordColumn(schema.item.dtype), USER_ROW: schema.inputs[USER_ROW].record_column,
               ITEM_ROW: schema.inputs[ITEM_ROW].record_column,
               **dict.fromkeys((LABEL, *schema.labels), RecordColumn("float32"))}
    if schema.request:
        columns[REQUEST] = RecordColumn("int64")
    if schema.has_weights:
        columns[WEIGHT] = RecordColumn("float32")
    columns |= {name: kind.record_column for name, kind in schema.inputs.items()}
    return dict(sorted(columns.items(), key=lambda entry: entry[1].length is not None))


def impression_columns(schema: Schema) -> dict[str, str]:
    """Column -> dtype ("int64", "float32" or "string") of the record columns with one value."""
    return {name: column.dtype for name, column in record_columns(schema).items() if column.length is None}


def list_columns(schema: Schema) -> dict[str, int]:
    """Column -> maximum length of the record columns with several rows."""
    return {name: column.length for name, column in record_columns(schema).items() if column.length is not None}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A finished dataset folder, see ``Dataset.open``.

    Attributes:
      folder: path of the folder.
      info: content of dataset_info.json.
    """

    folder: Path
    info: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str, kinds: tuple[str, ...] = (DATASET_KIND,)) -> Dataset:
        """Opens a finished dataset.

        Args:
          folder: path of the folder.
          kinds: accepted kinds of its manifest. Add ``IMPRESSIONS_KIND`` if neither pairs nor all splits are needed.

        Raises:
          UserError: the folder is missing, unfinished or of another kind, or a file that it lists is missing or has
            another size.
        """
        folder = Path(folder)
        info = read_manifest(folder, *kinds, name=DATASET_INFO)
        for split in info["splits"].values():
            for shard in split["shards"]:
                path = folder / shard["path"]
                if not path.is_file() or path.stat().st_size != shard["bytes"]:
                    found = f"{path.stat().st_size} bytes" if path.is_file() else "no file"
                    raise UserError(f"dataset shard {str(path)!r}: expected {shard['bytes']} bytes, found {found}; "
                                    "copy the folder again, or rebuild it with `tfrs-pretrain dataset --overwrite`")
        return cls(folder, info)

    @functools.cached_property
    def schema(self) -> Schema:
        return Schema.model_validate(self.info["config"]["schema"])

    @functools.cached_property
    def windows(self) -> Windows:
        return Windows.model_validate(self.info["config"]["windows"])

    @property
    def digests(self) -> dict[str, str]:
        """Name of a vocabulary -> its digest."""
        return {name: entry["digest"] for name, entry in self.info["vocabularies"].items()}

    def checked_file(self, name: str) -> Path:
        """Returns the path of a file other than a shard, whose records have checksums, after comparing its digest.

        Raises:
          UserError: the file is missing or has changed.
        """
        return checked_file(self.folder, self.info, inside(self.folder, name).relative_to(self.folder).as_posix())

    def vocabulary(self, name: str) -> Vocabulary:
        """Loads a vocabulary and checks its digest.

        Raises:
          UserError: the file is unreadable or is not the one that the dataset was built with.
        """
        path = self.checked_file(f"{VOCABULARY_FOLDER}/{name}.parquet")
        vocabulary = Vocabulary.load(path, self._lookup_file(name))
        if vocabulary.digest != self.digests[name]:
            raise UserError(f"vocabulary {str(path)!r} is not the one this dataset was built with (digest "
                            f"{vocabulary.digest[:12]}, expected {self.digests[name][:12]}): rebuild the dataset")
        return vocabulary

    def id_lookup(self, name: str) -> IdLookup:
        """Opens the look-up of a vocabulary, which maps ids to rows, without loading the ids.

        Raises:
          UserError: a file is missing, damaged or is not the one that the dataset was built with.
        """
        file = self._lookup_file(name)
        return IdLookup.open(file(), self.digests[name]) if file else self.vocabulary(name).id_lookup

    def _lookup_file(self, name: str) -> Callable[[], Path] | None:
        """Returns a function that checks the look-up file and returns its path; None: an older version wrote none."""
        file = f"{VOCABULARY_FOLDER}/{name}{LOOKUP_SUFFIX}"
        is_listed = file in (self.info.get(FILES) or ())
        return functools.partial(self.checked_file, file) if is_listed else None

    def num_rows(self, name: str) -> int:
        """Number of rows of the embedding table of an ID space or categorical feature."""
        return int(self.info["vocabularies"][name]["rows"])

    @property
    def moments(self) -> Moments:
        """Mean and standard deviation of numeric features over the training impressions."""
        return dict(self.info["numeric"])

    def files(self, split: str) -> list[str]:
        """Paths of the TFRecord files of a split."""
        return [str(self.folder / shard["path"]) for shard in self.info["splits"][split]["shards"]]

    def num_examples(self, split: str) -> int:
        """Number of pairs or impressions in a split."""
        return int(self.info["splits"][split]["examples"])

    @property
    def relations(self) -> tuple[str, ...]:
        """Names that the column ``relation`` of the pairs is an index into; empty if the schema has no relation."""
        return tuple(self.info["relations"])

    @property
    def candidate_probability(self) -> np.ndarray:
        """float64 [item rows]: probability that a training pair's candidate is this row; sums to 1."""
        probability: np.ndarray = np.load(self.checked_file(CANDIDATE_PROBABILITY))
        return probability

    @property
    def sampling_probability(self) -> np.ndarray:
        """float64 [item rows]: ``candidate_probability`` with a floor of one pair.

        The floor matters only for rows that are held out but never trained on, for which the held-out loss needs a
        finite value.
        """
        probability: np.ndarray = np.maximum(self.candidate_probability, 1.0 / self.num_examples("pairs/train"))
        return probability
