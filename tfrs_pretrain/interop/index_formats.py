"""Indexes for nearest-neighbour search: Faiss (exact) and hnswlib (approximate).

Entry i of an index is line i of the Parquet file with the ids beside it: ids may be texts or negative, which the labels
of these indexes cannot be.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.interop.id_rows import IdRows, compared
from tfrs_pretrain.retrieval.library import load_faiss

# Links per entry, and beam width of the construction.
LINKS, BUILD_WIDTH = 32, 200


def write_faiss(path: Path, table: IdRows, similarity: str) -> None:
    """Writes an exact index by inner product; for cosine similarity its vectors have length 1."""
    faiss = load_faiss()
    index = faiss.IndexFlatIP(table.dim)
    for block in table.blocks():
        index.add(compared(block.vectors(), similarity))
    faiss.write_index(index, str(path))
    _write_ids(path, table)


def write_hnswlib(path: Path, table: IdRows, similarity: str) -> None:
    """Writes an index of the space "ip"; for cosine similarity its vectors have length 1."""
    try:
        hnswlib = importlib.import_module("hnswlib")
    except ImportError as error:
        raise UserError(f"the format hnswlib needs a package ({error}): pip install hnswlib, which needs a C++ "
                        "compiler") from error
    index = hnswlib.Index("ip", table.dim)
    index.init_index(max(len(table), 1), M=LINKS, ef_construction=BUILD_WIDTH, random_seed=100)
    start = 0
    for block in table.blocks():
        # One thread: the order of additions determines the links.
        index.add_items(compared(block.vectors(), similarity), np.arange(start, start + len(block)), num_threads=1)
        start += len(block)
    index.save_index(str(path))
    _write_ids(path, table)


def _write_ids(path: Path, table: IdRows) -> None:
    ids = pa.table({"id": table.ids, "count": pa.array(table.counts)})
    pq.write_table(ids, path.with_suffix(".ids.parquet"))
