"""A dataset on any file system as its manifest describes it: files, expected columns, vocabularies."""

import dataclasses
import functools
import posixpath
from typing import Any

from apache_beam.io.filesystem import BeamIOError
from pydantic import ValidationError

from beam_pipelines.records.blocks import LENGTHS
from beam_pipelines.records.files import check_file, read_manifest_file
from beam_pipelines.transforms.vocabularies import load_vocabulary
from beam_pipelines.validation.record_statistics import VocabularyRows
from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND, IMPRESSIONS_KIND, PAIRS_KIND, VOCABULARY_FOLDER
from tfrs_pretrain.data.dataset import PAIR_SPLITS, pair_columns, record_columns
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import LABEL, Schema
from tfrs_pretrain.vocabulary import Vocabulary

# Features with more rows are counted by popularity band, as ids are.
MAX_EXACT_ROWS = 1 << 16
BLOCK_TYPES = {"int32": "<i4", "int64": "<i8", "float32": "<f4"}
PAIR_VOCABULARIES = {"query": "user", "candidate": "item"}
KINDS = (DATASET_KIND, PAIRS_KIND, IMPRESSIONS_KIND)  # manifests of folders with records


@dataclasses.dataclass(frozen=True)
class ExpectedColumn:
    """What a column should contain.

    Attributes:
      dtype: "int64", "float32" or "string".
      vocabulary: name of the vocabulary whose rows the column contains, or None.
      block: numpy type of the numbers packed into one byte string; None for plain values.
      many: a record may have no value or several values.
      rows: valid rows of the vocabulary; None if the column has no vocabulary, or the dataset lacks it.
    """

    dtype: str
    vocabulary: str | None = None
    block: str | None = None
    many: bool = False
    rows: VocabularyRows | None = None


@dataclasses.dataclass(frozen=True)
class DescribedDataset:
    """A finished dataset folder. Create it with ``open``.

    Attributes:
      folder: path or URL of the folder.
      info: content of dataset_info.json.
      schema: schema to check the records against.
    """

    folder: str
    info: dict[str, Any]
    schema: Schema

    @classmethod
    def open(cls, folder: str, schema: Schema | None = None) -> "DescribedDataset":
        """Reads the manifest of a folder.

        Args:
          folder: path or URL.
          schema: replaces the schema that the dataset was built with.

        Raises:
          UserError: the folder has no finished dataset.
        """
        path = posixpath.join(folder, DATASET_INFO)
        try:
            info = read_manifest_file(path)
        except (BeamIOError, OSError, ValueError) as error:
            raise UserError(f"{folder!r} has no finished dataset ({path!r}: {' '.join(str(error).split())}): name a "
                            "folder that build_dataset wrote, or build it again") from error
        kind = info.get("kind") if isinstance(info, dict) else None
        if kind not in KINDS:
            raise UserError(f"{path!r} describes {kind!r}, expected {' or '.join(KINDS)}: name another folder")
        try:
            return cls(folder, info, schema or Schema.model_validate(info["config"]["schema"]))
        except (KeyError, ValidationError) as error:
            raise UserError(f"{path!r} has no readable schema: build the dataset again") from error

    def files(self, split: str) -> list[str]:
        """Paths of the TFRecord files of a split."""
        return [posixpath.join(self.folder, shard["path"]) for shard in self.info["splits"][split]["shards"]]

    def expected_columns(self, split: str) -> dict[str, ExpectedColumn]:
        """Column name -> what the records of a split should contain."""
        if split in PAIR_SPLITS:
            columns = {name: ExpectedColumn("string", PAIR_VOCABULARIES.get(name), BLOCK_TYPES[dtype])
                       for name, dtype in pair_columns(self.schema).items()}
        else:
            columns = self._impression_columns()
        return {name: dataclasses.replace(column, rows=self.vocabulary_rows(column.vocabulary))
                if column.vocabulary else column for name, column in columns.items()}

    def _impression_columns(self) -> dict[str, ExpectedColumn]:
        columns = {name: ExpectedColumn(column.dtype, column.vocabulary, many=column.length is not None)
                   for name, column in record_columns(self.schema).items()}
        return _to_blocks(columns) if self.info.get("impressions_format") == "columnar" else columns

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the label columns."""
        return (LABEL, *self.schema.labels)

    @property
    def has_vocabularies(self) -> bool:
        """True if the folder contains the vocabulary files."""
        return self.info["kind"] in (DATASET_KIND, IMPRESSIONS_KIND)

    def vocabulary_rows(self, name: str) -> VocabularyRows | None:
        """Returns the valid rows of a vocabulary; None if the dataset does not have it."""
        entry = self.info["vocabularies"].get(name)
        if not entry:
            return None
        exact = name not in self.schema.id_spaces and entry["rows"] <= MAX_EXACT_ROWS
        return VocabularyRows(entry["oov_rows"], entry["rows"], exact)

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """Vocabulary name -> digest, from the manifest."""
        return {name: entry["digest"] for name, entry in self.info["vocabularies"].items()}

    def vocabulary(self, name: str) -> Vocabulary | None:
        """Loads a vocabulary; None if the file is missing, unreadable or does not match the manifest's digest."""
        try:
            vocabulary = load_vocabulary(check_file(self.folder, self.info, f"{VOCABULARY_FOLDER}/{name}.parquet"))
        except (UserError, BeamIOError, OSError):
            return None
        return vocabulary if vocabulary.digest == self.digests[name] else None


def _to_blocks(columns: dict[str, ExpectedColumn]) -> dict[str, ExpectedColumn]:
    """Converts columns of plain values to columns of blocks, see ``blocks``."""
    blocks = {}
    for name, column in columns.items():
        blocks[name] = ExpectedColumn("string", column.vocabulary, BLOCK_TYPES.get(column.dtype))
        if column.many or column.dtype == "string":
            blocks[name + LENGTHS] = ExpectedColumn("string", block=BLOCK_TYPES["int32"])
    return blocks
