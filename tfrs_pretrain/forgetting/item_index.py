"""Item indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import VOCABULARY_FILE
from tfrs_pretrain.forgetting.artifact import Digests, Leak, Removed, free_ids
from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.staging import new_file
from tfrs_pretrain.retrieval.artifact import EXACT, index_file
from tfrs_pretrain.retrieval.build import ITEMS_PER_ADD
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.vocabulary import Vocabulary


def vocabulary_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Path]:
    """ID space -> vocabulary file of an index."""
    return {"item": folder / VOCABULARY_FILE}


def quoted_digests(folder: Path, manifest: Mapping[str, Any]) -> Digests:
    """Digest of the vocabulary."""
    return {"vocabulary.item": manifest["vocabulary_digest"]}


def erase(folder: Path, manifest: dict[str, Any], ids: ForgottenIds) -> Removed:
    """Removes items from a copied index folder.

    The remaining items are added again with the vectors of the exact index, because not every kind of index can remove
    entries. What an approximate index learnt from vectors, such as its centroids, stays.
    """
    removed = Removed()
    if ids.space != "item":
        return removed
    freed = ids.freed_rows(manifest["vocabulary_digest"])
    vocabulary, removed["rows"] = free_ids(folder / VOCABULARY_FILE, ids)
    manifest["vocabulary_digest"] = vocabulary.digest
    labels, vectors = _entries(folder)
    kept = ~np.isin(labels, freed)
    removed["index entries"] = int((~kept).sum())
    if removed["index entries"]:
        entries = {name: entry | {"bytes": _rebuild(folder / index_file(name), labels[kept], vectors[kept])}
                   for name, entry in manifest["indexes"].items()}
        manifest["items"], manifest["indexes"] = int(kept.sum()), entries
    return +removed


def _entries(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64 [n] labels and float32 [n, dim] vectors of the exact index."""
    faiss = load_faiss()
    index = faiss.read_index(str(folder / index_file(EXACT)))
    flat = faiss.downcast_index(index.index)
    return faiss.vector_to_array(index.id_map), flat.reconstruct_n(0, flat.ntotal)


def _rebuild(path: Path, labels: np.ndarray, vectors: np.ndarray) -> int:
    """Replaces the content of an index; returns the size of its file."""
    faiss = load_faiss()
    index = faiss.read_index(str(path))
    index.reset()  # keeps settings, and what was learnt
    for start in range(0, len(labels), ITEMS_PER_ADD):
        index.add_with_ids(vectors[start:start + ITEMS_PER_ADD], labels[start:start + ITEMS_PER_ADD])
    faiss.write_index(index, str(new_file(path)))
    return path.stat().st_size


def leaks(folder: Path, manifest: Mapping[str, Any], ids: ForgottenIds) -> Iterator[Leak]:
    """Finds the ids and entries of free rows in an index."""
    if ids.space != "item":
        return
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE)
    if count := int(ids.contains(vocabulary.known_ids).sum()):
        yield Leak(folder / VOCABULARY_FILE, f"{count} ids have rows")
    faiss = load_faiss()
    for name in manifest["indexes"]:
        labels = faiss.vector_to_array(faiss.read_index(str(folder / index_file(name))).id_map)
        if count := int(np.isin(labels, vocabulary.free).sum()):
            yield Leak(folder / index_file(name), f"{count} entries of free rows")
