"""Item embeddings as Faiss indexes: exact, and approximate with what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfrs_pretrain.artifact_names import ITEM_INDEX_KIND, VOCABULARY_FILE
from tfrs_pretrain.artifacts import file_digest, staged_folder, write_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import progress
from tfrs_pretrain.retrieval.artifact import APPROXIMATE, EXACT, index_file
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.retrieval.measure import measure, sample_users
from tfrs_pretrain.retrieval.vectors import StageOneVectors

Kind = Literal["hnsw", "ivfpq", "none"]
ADDED_TOGETHER = 1 << 16
# Of HNSW (Malkov and Yashunin, arXiv 1603.09320): links an item, and how widely building and searching look.
LINKS, BUILD_WIDTH, SEARCH_WIDTH = 32, 100, 128
# Of IVF with product quantization (Jégou, Douze and Schmid, TPAMI 2011): columns a code byte, share of lists searched.
CODE_COLUMNS, SEARCHED_LISTS = 4, 1 / 8
CODES = 256
POINTS_A_CENTROID = 39  # Faiss warns below


def build_index(embeddings: Embeddings, output: Path, *, dataset: Dataset | None = None, approximate: Kind = "hnsw",
                cutoffs: tuple[int, ...] = (10, 100), queries: int = 1000, overwrite: bool = False) -> dict[str, Any]:
    """Writes the artifact and returns its manifest.

    All admitted items are in it, shared rows of unknown ones are not. Labels are rows of the item table, scores are
    those of Stage I's similarity with its popularity prior.

    Args:
      embeddings: pretrained rows.
      output: folder to write.
      dataset: what the rows were pretrained on; needed only where they have a popularity prior.
      approximate: "hnsw" (fast, larger than exact), "ivfpq" (a byte for four columns), or "none".
      cutoffs: values of k of recall@k, the share of the exact first k that the approximate index finds.
      queries: most users to measure with.
      overwrite: replace a folder that is there.

    Raises:
      UserError: Faiss is missing, the output exists, there are no items, or too few for "ivfpq".
    """
    faiss = load_faiss()
    vectors = StageOneVectors(embeddings, dataset)
    vocabulary = embeddings.vocabulary("item")
    rows = np.arange(vocabulary.oov_rows, vocabulary.num_rows)
    if not len(rows):
        raise UserError(f"embeddings {str(embeddings.folder)!r} have no admitted item, so there is nothing to index: "
                        "lower schema.item.min_count and build the dataset again")
    with progress("index items", total=len(rows), unit="items") as meter, staged_folder(
            output, overwrite=overwrite) as stage:
        indexes = {EXACT: faiss.IndexFlatIP(vectors.columns)}
        if approximate != "none":
            indexes[APPROXIMATE] = _approximate(faiss, approximate, vectors, rows)
        built = {name: faiss.IndexIDMap(index) for name, index in indexes.items()}
        for start in range(0, len(rows), ADDED_TOGETHER):
            part = rows[start:start + ADDED_TOGETHER]
            for index in built.values():
                index.add_with_ids(vectors.items(part), part)
            meter.advance(len(part))
        entries = {}
        for name, index in built.items():
            path = stage / index_file(name)
            faiss.write_index(index, str(path))
            entries[name] = {"digest": file_digest(path), "bytes": path.stat().st_size}
        users = vectors.users(sample_users(embeddings.vocabulary("user"), queries))
        for name, measured in measure(built, users, cutoffs).items():
            entries[name] |= measured
        vocabulary.save(stage / VOCABULARY_FILE)
        manifest = {
            "items": len(rows), "columns": vectors.columns, "approximate": approximate,
            "normalized": vectors.normalized, "popularity_prior": vectors.prior,
            "vocabulary_digest": vocabulary.digest,
            "rows_digests": {name: embeddings.manifest["tables"][name]["rows_digest"] for name in embeddings.tables},
            "window": embeddings.manifest["window"], "measured_users": len(users), "indexes": entries,
        }
        write_manifest(stage, ITEM_INDEX_KIND, manifest)
    return manifest


def _approximate(faiss: Any, kind: Kind, vectors: StageOneVectors, rows: np.ndarray) -> Any:
    """An empty index, trained where its kind needs it."""
    columns = vectors.columns
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(columns, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_WIDTH, SEARCH_WIDTH
        return index
    least = CODES * POINTS_A_CENTROID
    if len(rows) < least:
        raise UserError(f"an ivfpq index learns its codes from at least {least} items, there are {len(rows)}: choose "
                        "--approximate hnsw")
    lists = max(1, min(round(4 * len(rows) ** 0.5), len(rows) // POINTS_A_CENTROID))
    padded = -(-columns // CODE_COLUMNS) * CODE_COLUMNS
    index = faiss.index_factory(columns, f"Pad{padded},IVF{lists},PQ{padded // CODE_COLUMNS}",
                                faiss.METRIC_INNER_PRODUCT)
    # Faiss itself learns from a sample of this size.
    sample = np.random.default_rng(0).permutation(rows)[:max(lists, CODES) * 256]
    index.train(vectors.items(np.sort(sample)))
    faiss.extract_index_ivf(index).nprobe = max(1, round(lists * SEARCHED_LISTS))
    return index
