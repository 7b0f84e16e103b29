"""A dataset on any file system as its manifest describes it: which files, which columns, what they should hold."""

import dataclasses
import functools
import posixpath
from typing import Any

from apache_beam.io.filesystem import BeamIOError
from pydantic import ValidationError

from beam_pipelines.records.blocks import LENGTHS
from beam_pipelines.records.files import read_json
from beam_pipelines.transforms.vocabularies import load_vocabulary
from beam_pipelines.validation.record_statistics import VocabularyRows
from tfrs_pretrain.artifacts import DATASET_INFO
from tfrs_pretrain.data.dataset import (
    IMPRESSIONS_KIND,
    KIND,
    PAIR_SPLITS,
    VOCABULARY_FOLDER,
    impression_columns,
    list_columns,
    pair_columns,
)
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import HISTORY, ITEM_ROW, LABEL, USER_ROW, Schema
from tfrs_pretrain.vocabulary import Vocabulary

# Features of more values are counted by band of popularity, as ids are.
MAX_EXACT_ROWS = 1 << 16
BLOCK_TYPES = {"int32": "<i4", "int64": "<i8", "float32": "<f4"}
PAIR_VOCABULARIES = {"query": "user", "candidate": "item"}
KINDS = (KIND, "pairs", IMPRESSIONS_KIND)  # hold records


@dataclasses.dataclass(frozen=True)
class ExpectedColumn:
    """What a column should hold.

    Attributes:
      kind: "int64", "float32" or "string".
      vocabulary: whose rows it holds, if any.
      block: numpy type of many values in one byte string; None for plain values.
      many: whether a record may hold none or several values.
    """

    kind: str
    vocabulary: str | None = None
    block: str | None = None
    many: bool = False


@dataclasses.dataclass(frozen=True)
class DescribedDataset:
    """Make it with ``open``.

    Attributes:
      folder: where it lies.
      info: content of dataset_info.json.
      schema: what the records should be like.
    """

    folder: str
    info: dict[str, Any]
    schema: Schema

    @classmethod
    def open(cls, folder: str, schema: Schema | None = None) -> "DescribedDataset":
        """Reads the manifest; ``schema`` instead of the one that the dataset was built with.

        Raises:
          UserError: there is no finished dataset.
        """
        path = posixpath.join(folder, DATASET_INFO)
        try:
            info = read_json(path)
        except (BeamIOError, OSError, ValueError) as error:
            raise UserError(f"{folder!r} holds no finished dataset ({path!r}: {' '.join(str(error).split())}): name a "
                            "folder that build_dataset wrote, or build it again") from error
        came = info.get("kind") if isinstance(info, dict) else None
        if came not in KINDS:
            raise UserError(f"{path!r} describes {came!r}, expected {' or '.join(KINDS)}: name the right folder")
        try:
            return cls(folder, info, schema or Schema.model_validate(info["config"]["schema"]))
        except (KeyError, ValidationError) as error:
            raise UserError(f"{path!r} has no readable schema: build the dataset again") from error

    def files(self, split: str) -> list[str]:
        return [posixpath.join(self.folder, shard["path"]) for shard in self.info["splits"][split]["shards"]]

    def expected(self, split: str) -> dict[str, ExpectedColumn]:
        """Columns of the records of a split."""
        if split in PAIR_SPLITS:
            return {name: ExpectedColumn("string", PAIR_VOCABULARIES.get(name), BLOCK_TYPES[dtype])
                    for name, dtype in pair_columns(self.schema).items()}
        vocabularies = {USER_ROW: "user", ITEM_ROW: "item", HISTORY: "item"} | {
            feature.name: feature.name for feature in self.schema.features if feature.kind != "numeric"}
        plain = {name: ExpectedColumn(dtype, vocabularies.get(name))
                 for name, dtype in impression_columns(self.schema).items()}
        plain |= {name: ExpectedColumn("int64", vocabularies[name], many=True) for name in list_columns(self.schema)}
        return _blocks(plain) if self.info.get("impressions_format") == "columnar" else plain

    @property
    def labels(self) -> tuple[str, ...]:
        return (LABEL, *self.schema.labels)

    @property
    def has_vocabularies(self) -> bool:
        return self.info["kind"] in (KIND, IMPRESSIONS_KIND)

    def rows(self, vocabulary: str) -> VocabularyRows | None:
        """None where the dataset has no such vocabulary."""
        entry = self.info["vocabularies"].get(vocabulary)
        if not entry:
            return None
        exact = vocabulary not in self.schema.id_spaces and entry["rows"] <= MAX_EXACT_ROWS
        return VocabularyRows(entry["oov_rows"], entry["rows"], exact)

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """Digest of each vocabulary according to the manifest."""
        return {name: entry["digest"] for name, entry in self.info["vocabularies"].items()}

    def vocabulary(self, name: str) -> Vocabulary | None:
        """None where the file is missing, unreadable or not the one that the manifest names."""
        try:
            vocabulary = load_vocabulary(posixpath.join(self.folder, VOCABULARY_FOLDER, f"{name}.parquet"))
        except (UserError, BeamIOError, OSError):
            return None
        return vocabulary if vocabulary.digest == self.digests[name] else None


def _blocks(plain: dict[str, ExpectedColumn]) -> dict[str, ExpectedColumn]:
    """The columns of impressions in blocks; those without a fixed width have their lengths beside them."""
    blocks = {}
    for name, column in plain.items():
        blocks[name] = ExpectedColumn("string", column.vocabulary, BLOCK_TYPES.get(column.kind))
        if column.many or column.kind == "string":
            blocks[name + LENGTHS] = ExpectedColumn("string", block=BLOCK_TYPES["int32"])
    return blocks
