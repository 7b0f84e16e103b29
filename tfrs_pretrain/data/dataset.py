"""The dataset folder that the Beam jobs write and both stages read.

::

    vocabulary/<name>.parquet                        one per ID space and categorical feature
    pairs/{train,heldout}-SSSSS-of-NNNNN.tfrecord    columnar blocks for Stage I (.tfrecord.gz where compressed)
    pairs/candidate_probability.npy                  float64 [item rows]: share of each item row in pairs/train
    impressions/{train,validation,test}-SSSSS-of-NNNNN.tfrecord   one tf.Example per impression for Stage II
    golden.parquet                                   some validation impressions with raw values, to check exports
    dataset_info.json                                schema, windows, counts, digests, checksums; written last

Columns of the records: ``schema.RESERVED_COLUMNS`` and the features, see ``record_columns``; a pair block holds
little-endian arrays in one bytes value each, see ``pair_columns``. Impressions may be blocks too
(``impressions_format`` in dataset_info.json): a column without a fixed width is then two, ``name`` with all values and
``name.lengths`` with the int32 number of them in each row.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import CANDIDATE_PROBABILITY, DATASET_INFO, DATASET_KIND, VOCABULARY_FOLDER
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Windows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Moments
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, KEY, LABEL, REQUEST, USER_ID, USER_ROW, Schema
from tfrs_pretrain.vocabulary import Vocabulary

PAIR_SPLITS = ("pairs/train", "pairs/heldout")
IMPRESSION_SPLITS = ("impressions/train", "impressions/validation", "impressions/test")


def shard_path(split: str, shard: int, shards: int, *, compressed: bool = False) -> str:
    """Path of a TFRecord file inside the dataset folder."""
    return f"{split}-{shard:05d}-of-{shards:05d}.tfrecord{'.gz' if compressed else ''}"


def compression(path: str) -> str:
    """What ``tf.data.TFRecordDataset`` calls the compression of a file with this name."""
    return "GZIP" if path.endswith(".gz") else ""


def pair_columns(schema: Schema) -> dict[str, str]:
    """Column -> dtype ("int32" or "float32") of a block of pairs.

    ``query`` and ``candidate`` are rows. Where the schema has a relation, ``relation`` is a place in the ``relations``
    that dataset_info.json lists and ``weight`` is that relation's.
    """
    columns = {"query": "int32", "candidate": "int32"}
    return columns | ({"relation": "int32", "weight": "float32"} if schema.relation else {})


def record_columns(schema: Schema) -> dict[str, RecordColumn]:
    """Columns of one impression's record, those of one value first.

    Every feature has one, privileged features too. ``key`` is a 64-bit hash that identifies the impression;
    ``request``, if the schema has a request column, is a hash that the impressions of a request share.
    """
    columns = {KEY: RecordColumn("int64"), USER_ID: RecordColumn(schema.user.dtype),
               ITEM_ID: RecordColumn(schema.item.dtype), USER_ROW: schema.inputs[USER_ROW].record_column,
               ITEM_ROW: schema.inputs[ITEM_ROW].record_column,
               **dict.fromkeys((LABEL, *schema.labels), RecordColumn("float32"))}
    if schema.request:
        columns[REQUEST] = RecordColumn("int64")
    columns |= {name: kind.record_column for name, kind in schema.inputs.items()}
    return dict(sorted(columns.items(), key=lambda entry: entry[1].length is not None))


def impression_columns(schema: Schema) -> dict[str, str]:
    """Column -> dtype ("int64", "float32" or "string") of the record columns of one value."""
    return {name: column.dtype for name, column in record_columns(schema).items() if column.length is None}


def list_columns(schema: Schema) -> dict[str, int]:
    """Column -> maximum length of the record columns of several rows."""
    return {name: column.length for name, column in record_columns(schema).items() if column.length is not None}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A finished dataset folder. Make it with ``Dataset.open``.

    Attributes:
      folder: where it lies.
      info: content of dataset_info.json.
    """

    folder: Path
    info: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str, kinds: tuple[str, ...] = (DATASET_KIND,)) -> Dataset:
        """Opens a finished dataset; who needs neither pairs nor all splits accepts ``IMPRESSIONS_KIND`` too.

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
                    came = f"{path.stat().st_size} bytes" if path.is_file() else "no file"
                    raise UserError(f"dataset shard {str(path)!r}: expected {shard['bytes']} bytes, found {came}; "
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
        """Vocabulary digest by name."""
        return {name: entry["digest"] for name, entry in self.info["vocabularies"].items()}

    def vocabulary(self, name: str) -> Vocabulary:
        """Loads a vocabulary and checks its digest.

        Raises:
          UserError: the file is unreadable or is not the one that the dataset was built with.
        """
        path = self.folder / VOCABULARY_FOLDER / f"{name}.parquet"
        vocabulary = Vocabulary.load(path)
        if vocabulary.digest != self.digests[name]:
            raise UserError(f"vocabulary {str(path)!r} is not the one this dataset was built with (digest "
                            f"{vocabulary.digest[:12]}, expected {self.digests[name][:12]}): rebuild the dataset")
        return vocabulary

    def rows(self, name: str) -> int:
        """Rows of the embedding table of an ID space or categorical feature."""
        return int(self.info["vocabularies"][name]["rows"])

    @property
    def moments(self) -> Moments:
        """Mean and standard deviation of numeric features over the training impressions."""
        return dict(self.info["numeric"])

    def files(self, split: str) -> list[str]:
        return [str(self.folder / shard["path"]) for shard in self.info["splits"][split]["shards"]]

    def examples(self, split: str) -> int:
        """Pairs or impressions in a split."""
        return int(self.info["splits"][split]["examples"])

    @property
    def relations(self) -> tuple[str, ...]:
        """Names of the relations that the pairs' ``relation`` counts, none where the schema has no relation."""
        return tuple(self.info["relations"])

    @property
    def candidate_probability(self) -> np.ndarray:
        """float64 [item rows]: probability that a training pair's candidate is this row; sums to 1."""
        return np.load(self.folder / CANDIDATE_PROBABILITY)

    @property
    def sampling_probability(self) -> np.ndarray:
        """float64 [item rows]: the same, at least one pair's worth.

        The floor only serves rows that are held out but never trained on, where the held-out loss needs a finite value.
        """
        return np.maximum(self.candidate_probability, 1.0 / self.examples("pairs/train"))
