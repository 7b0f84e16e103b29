"""Paths of the artifacts of one life, and what survivors must keep."""

import dataclasses
from pathlib import Path

import numpy as np
import planted
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.config import Config
from tfrs_pretrain.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Life:
    folder: Path

    @property
    def logs(self):
        return self.folder / "logs"

    @property
    def dataset(self):
        return self.folder / "dataset"

    @property
    def embeddings(self):
        return self.folder / "embeddings"

    @property
    def ranker(self):
        return self.folder / "ranker"

    @property
    def index(self):
        return self.folder / "index"

    @property
    def models(self):
        return self.folder / "models"

    @property
    def version(self):
        return self.models / "planted_ranker" / "1"

    @property
    def config(self):
        tree = planted.planted_config()
        tree["schema"]["history"] = {"length": 5}
        tree["dataset"] |= {"shards": 2, "golden_examples": 24, "max_rejected_share": 0.5, "compression": "gzip"}
        tree["pretraining"] |= {"epochs": 1}
        tree["ranking"]["epochs"] = 1
        tree["export"] = {"arm": "warm_start"}
        return Config.model_validate(tree)

    @property
    def artifacts(self):
        """The folders without the raw logs."""
        return [self.dataset, self.embeddings, self.ranker, self.index, self.models]

    def vocabulary(self, space):
        return Vocabulary.load(self.dataset / "vocabulary" / f"{space}.parquet")


def write_ids(path, ids):
    """Writes ids as a Parquet file of one column, and returns its path."""
    pq.write_table(pa.table({"id": ids}), path)
    return path


def is_zero(matrix, rows):
    return not np.asarray(matrix)[rows].any()
