"""A summary of an embeddings artifact."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.interop.id_rows import IdRows, similarity


def describe(embeddings: Embeddings) -> dict[str, Any]:
    """Returns tables, training window, similarity and course of training as a JSON value."""
    manifest = embeddings.manifest
    return {
        "folder": str(embeddings.folder), "code_version": manifest["code_version"], "window": str(embeddings.window),
        "similarity": similarity(embeddings), "kept_epoch": manifest["kept_epoch"], "seconds": manifest["seconds"],
        "heldout_loss": [epoch["heldout_loss"] for epoch in manifest["epochs"]],
        "tables": {name: _table(embeddings, name) for name in embeddings.tables}}


def _table(embeddings: Embeddings, name: str) -> dict[str, Any]:
    vocabulary, read = embeddings.vocabulary(name), IdRows.read(embeddings, name)
    squares = [np.square(block.vectors(), dtype=np.float64).sum(axis=1) for block in read.blocks()]
    norms = np.sqrt(np.concatenate(squares)) if squares else np.empty(0)
    return {
        "ids": len(read), "dtype": vocabulary.dtype, "dim": read.dim, "shared_rows": vocabulary.oov_rows,
        "free_rows": vocabulary.num_rows - vocabulary.oov_rows - len(read), "bytes": int(read.matrix.nbytes),
        "median_count": float(np.median(read.counts)) if len(read) else None,
        "max_count": int(read.counts.max(initial=0)),
        "median_norm": float(np.median(norms)) if len(read) else None}
