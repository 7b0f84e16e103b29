"""Builds Faiss indexes of the item embeddings: an exact one, and an approximate one with its measured recall."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfrs_pretrain.artifact_names import ITEM_INDEX_KIND, MANIFEST, VOCABULARY_FILE
from tfrs_pretrain.artifacts import file_digest, write_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import RUN_DIGEST, finished_output, run_digest
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.output_folders import staged_folder
from tfrs_pretrain.progress import progress
from tfrs_pretrain.retrieval.artifact import APPROXIMATE, EXACT, index_file
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.retrieval.measure import measure, sample_users
from tfrs_pretrain.retrieval.vectors import StageOneVectors

Kind = Literal["hnsw", "ivfpq", "none"]
ITEMS_PER_ADD = 1 << 16
# HNSW (Malkov and Yashunin, arXiv 1603.09320): links per item, and beam widths of construction and search.
LINKS, BUILD_WIDTH, SEARCH_WIDTH = 32, 100, 128
# IVF with product quantization (Jégou, Douze and Schmid, TPAMI 2011): dimensions per code byte, share of
# lists searched.
DIMS_PER_CODE, SEARCHED_LISTS = 4, 1 / 8
CENTROIDS_PER_CODE = 256
MIN_POINTS_PER_CENTROID = 39  # below, Faiss warns


def build_index(embeddings: Embeddings, output: Path, *, dataset: Dataset | None = None, approximate: Kind = "hnsw",
                cutoffs: tuple[int, ...] = (10, 100), queries: int = 1000, overwrite: bool = False) -> dict[str, Any]:
    """Writes the artifact and returns its manifest; an identical artifact is kept.

    The index contains all admitted items, but not the shared rows of unknown items. Its labels are rows of the item
    table; its scores are those of Stage I, including the popularity prior.

    Args:
      embeddings: pretrained rows.
      output: folder to write.
      dataset: dataset of the pretraining; required only if the embeddings have a popularity prior.
      approximate: "hnsw" (fast, larger than exact), "ivfpq" (one byte per four dimensions), or "none".
      cutoffs: values of k of recall@k: the share of the exact top k that the approximate index finds.
      queries: maximum number of users to measure with.
      overwrite: replace an existing folder.

    Raises:
      UserError: Faiss is not installed, another output exists, or there are no items, or too few for "ivfpq".
    """
    faiss = load_faiss()
    vectors = StageOneVectors(embeddings, dataset)
    vocabulary = embeddings.vocabulary("item")
    rows = vocabulary.id_rows
    if not len(rows):
        raise UserError(f"embeddings {str(embeddings.folder)!r} have no admitted item, so there is nothing to index: "
                        "lower schema.item.min_count and build the dataset again")
    digest = run_digest(
        embeddings=file_digest(embeddings.folder / MANIFEST), dataset=json_digest(dataset.info) if dataset else None,
        approximate=approximate, cutoffs=list(cutoffs), queries=queries, faiss=faiss.__version__)
    if finished := finished_output(output, ITEM_INDEX_KIND, digest, overwrite=overwrite):
        return finished
    with progress("index items", total=len(rows), unit="items") as meter, staged_folder(
            output, overwrite=overwrite) as stage:
        indexes = {EXACT: faiss.IndexFlatIP(vectors.dim)}
        if approximate != "none":
            indexes[APPROXIMATE] = _approximate(faiss, approximate, vectors, rows)
        built = {name: faiss.IndexIDMap(index) for name, index in indexes.items()}
        for start in range(0, len(rows), ITEMS_PER_ADD):
            part = rows[start:start + ITEMS_PER_ADD]
            for index in built.values():
                index.add_with_ids(vectors.items(part), part)
            meter.advance(len(part))
        entries = {}
        for name, index in built.items():
            path = stage / index_file(name)
            faiss.write_index(index, str(path))
            entries[name] = {"bytes": path.stat().st_size}
        users = vectors.users(sample_users(embeddings.vocabulary("user"), queries))
        for name, measured in measure(built, users, cutoffs).items():
            entries[name] |= measured
        vocabulary.save(stage / VOCABULARY_FILE)
        manifest = {
            "items": len(rows), "dim": vectors.dim, "approximate": approximate,
            "normalized": vectors.normalized, "popularity_prior": vectors.prior,
            "vocabulary_digest": vocabulary.digest,
            "rows_digests": {name: embeddings.manifest["tables"][name]["rows_digest"] for name in embeddings.tables},
            "window": embeddings.manifest["window"], "measured_users": len(users), "indexes": entries,
            RUN_DIGEST: digest,
        }
        write_manifest(stage, ITEM_INDEX_KIND, manifest)
    return manifest


def _approximate(faiss: Any, kind: Kind, vectors: StageOneVectors, rows: np.ndarray) -> Any:
    """Creates an empty approximate index, trained if its kind requires it."""
    dim = vectors.dim
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_WIDTH, SEARCH_WIDTH
        return index
    min_items = CENTROIDS_PER_CODE * MIN_POINTS_PER_CENTROID
    if len(rows) < min_items:
        raise UserError(f"an ivfpq index needs at least {min_items} items to train its codes, there are {len(rows)}: "
                        "choose --approximate hnsw")
    lists = max(1, min(round(4 * len(rows) ** 0.5), len(rows) // MIN_POINTS_PER_CENTROID))
    padded = -(-dim // DIMS_PER_CODE) * DIMS_PER_CODE
    index = faiss.index_factory(dim, f"Pad{padded},IVF{lists},PQ{padded // DIMS_PER_CODE}",
                                faiss.METRIC_INNER_PRODUCT)
    # Faiss would draw a sample of this size itself.
    sample = np.random.default_rng(0).permutation(rows)[:max(lists, CENTROIDS_PER_CODE) * 256]
    index.train(vectors.items(np.sort(sample)))
    faiss.extract_index_ivf(index).nprobe = max(1, round(lists * SEARCHED_LISTS))
    return index
