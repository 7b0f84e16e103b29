"""Formats with arrays: npz and safetensors."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.interop.id_rows import IdRows


def write_npz(path: Path, table: IdRows) -> None:
    """Writes ``ids`` (int64 or text), ``rows`` (float32 [n, dim]) and ``counts`` (int64), readable without pickle."""
    ids = table.ids.to_numpy(zero_copy_only=False)
    np.savez(path, ids=ids if pa.types.is_int64(table.ids.type) else ids.astype(np.str_), rows=table.vectors(),
             counts=table.counts)


def write_safetensors(path: Path, table: IdRows) -> None:
    """Writes ``rows`` (float32 [n, dim]), ``counts`` (int64) and the ids.

    Integer ids are ``ids`` (int64). The format has no text: id i is UTF-8 in ``id_bytes`` (uint8) from
    ``id_offsets[i]`` to ``id_offsets[i + 1]`` (int64).
    """
    try:
        safetensors = importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise UserError(f"the format safetensors needs a package ({error}): pip install safetensors") from error
    safetensors.save_file({"rows": table.vectors(), "counts": np.ascontiguousarray(table.counts), **_ids(table.ids)},
                          path)


def _ids(ids: pa.Array) -> dict[str, np.ndarray]:
    if pa.types.is_int64(ids.type):
        return {"ids": np.array(ids.to_numpy(zero_copy_only=False))}
    texts = [text.encode() for text in ids.to_pylist()]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return {"id_bytes": np.frombuffer(b"".join(texts), np.uint8), "id_offsets": offsets}
