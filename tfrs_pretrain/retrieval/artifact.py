"""The index artifact.

::

    exact.faiss          every item compared; labels are rows of the item table
    approximate.faiss    a faster one, where one was asked for
    vocabulary.parquet   the id at each row: line r - oov_rows of the file
    manifest.json        digests, what was measured; written last
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import ITEM_INDEX_KIND, VOCABULARY_FILE
from tfrs_pretrain.artifacts import file_digest, read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.vocabulary import Vocabulary

EXACT, APPROXIMATE = "exact", "approximate"


def index_file(name: str) -> str:
    return f"{name}.faiss"


@dataclasses.dataclass(frozen=True)
class ItemIndex:
    """A finished artifact. Make it with ``ItemIndex.open``."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> ItemIndex:
        """Opens an artifact and checks its files against the manifest.

        Raises:
          UserError: the folder is missing or unfinished, or a file is not the one that the manifest describes.
        """
        index = cls(folder, read_manifest(folder, ITEM_INDEX_KIND))
        for name, entry in index.manifest["indexes"].items():
            path = folder / index_file(name)
            came = file_digest(path) if path.is_file() else "no file"
            if came != entry["digest"]:
                raise UserError(f"index {str(path)!r}: expected digest {entry['digest'][:12]}, found {came[:12]}; copy "
                                "the artifact again, or build it again with `tfrs-pretrain index`")
        return index

    @property
    def names(self) -> tuple[str, ...]:
        """"exact" and, where there is one, "approximate"."""
        return tuple(self.manifest["indexes"])

    def vocabulary(self) -> Vocabulary:
        """The id at each row of the item table."""
        return Vocabulary.load(self.folder / VOCABULARY_FILE)

    def load(self, name: str) -> Any:
        """The Faiss index itself.

        Raises:
          UserError: the artifact has no such index, or it cannot be read.
        """
        if name not in self.names:
            raise UserError(f"index {str(self.folder)!r} has no {name} index, only {list(self.names)}: build it again "
                            "with --approximate, or search exactly")
        faiss = load_faiss()
        path = self.folder / index_file(name)
        try:
            return faiss.read_index(str(path))
        except RuntimeError as error:
            raise UserError(f"index {str(path)!r} cannot be read ({' '.join(str(error).split())[:200]}): build it "
                            "again with this version of Faiss") from error


def search(index: Any, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The items with the largest inner product for each query.

    Args:
      index: from ``ItemIndex.load``.
      queries: float32 [queries, columns].
      k: length of the lists; longer than the corpus asks for all of it.

    Returns:
      float32 [queries, n] scores, falling, and int64 [queries, n] item rows, with n the smaller of k and the corpus;
      -1 where an approximate index found fewer.
    """
    most = min(k, index.ntotal)
    if not most:
        return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    scores, rows = index.search(np.ascontiguousarray(queries, np.float32), most)
    return scores, rows
