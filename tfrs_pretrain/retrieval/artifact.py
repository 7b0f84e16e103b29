"""The index artifact.

::

    exact.faiss          exhaustive search; labels are rows of the item table
    approximate.faiss    faster, approximate search; optional
    vocabulary.parquet   the id of each row: line ``row - oov_rows`` of the file
    manifest.json        digests, recall and latency; written last
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import ITEM_INDEX_KIND, VOCABULARY_FILE
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import check_files, checked_file
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.vocabulary import Vocabulary

EXACT, APPROXIMATE = "exact", "approximate"


def index_file(name: str) -> str:
    """File name of the index "exact" or "approximate"."""
    return f"{name}.faiss"


@dataclasses.dataclass(frozen=True)
class ItemIndex:
    """A finished index artifact. Create it with ``ItemIndex.open``."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> ItemIndex:
        """Opens an artifact and checks its files against the manifest.

        Raises:
          UserError: the folder is missing or unfinished, or a file is not the one that the manifest describes.
        """
        index = cls(folder, read_manifest(folder, ITEM_INDEX_KIND))
        check_files(folder, index.manifest)
        return index

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the indexes: "exact" and, optionally, "approximate"."""
        return tuple(self.manifest["indexes"])

    def vocabulary(self) -> Vocabulary:
        """Loads the vocabulary of the item table."""
        return Vocabulary.load(checked_file(self.folder, self.manifest, VOCABULARY_FILE))

    def load(self, name: str) -> Any:
        """Loads a Faiss index.

        Raises:
          UserError: the artifact has no such index, or it cannot be read.
        """
        if name not in self.names:
            raise UserError(f"index {str(self.folder)!r} has no {name} index, only {list(self.names)}: build it again "
                            "with --approximate, or search exactly")
        faiss = load_faiss()
        path = checked_file(self.folder, self.manifest, index_file(name))
        try:
            return faiss.read_index(str(path))
        except RuntimeError as error:
            raise UserError(f"index {str(path)!r} cannot be read ({' '.join(str(error).split())[:200]}): build it "
                            "again with this version of Faiss") from error


def search(index: Any, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the items with the largest inner product for each query.

    Args:
      index: from ``ItemIndex.load``.
      queries: float32 [queries, dim].
      k: number of items per query; more than the corpus has returns the whole corpus.

    Returns:
      scores, float32 [queries, n], in descending order, and item rows, int64 [queries, n]. n is the minimum of k and
      the size of the corpus; a row is -1 if an approximate index found fewer items.
    """
    count = min(k, index.ntotal)
    if not count:
        return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    scores, rows = index.search(np.ascontiguousarray(queries, np.float32), count)
    return scores, rows
