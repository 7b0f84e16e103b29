"""Contents of artifacts, read by file type alone: everything that a change of code must not change.

Times, versions, paths and configurations are left out, and so are container bytes wherever they contain such things.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Parts of keys in JSON files whose numbers depend on the machine, the moment or the configuration.
UNSTABLE = re.compile(r"second|byte|memory|rss|version|machine|config|settings|format|latency", re.IGNORECASE)
ARROW_METADATA = (b"ARROW:schema", b"pandas")
# Requests and answers of the first are in the arrays of answers.py; the second has the times of input files.
LEFT_OUT = ("golden_requests.tfrecord", ".run.json")


@dataclasses.dataclass(frozen=True)
class Content:
    """One comparable value.

    Attributes:
      digest: SHA-256 of type, shape and values, in hexadecimal.
      values: array [...] that the digest was computed of.
      movable: the name is the code's own, so equal values under another name of the same file are no difference.
      optional: a name that one side lacks is no difference.
    """

    digest: str
    values: np.ndarray
    movable: bool = False
    optional: bool = False

    @classmethod
    def of(cls, values: Any, *, kind: str = "", movable: bool = False, optional: bool = False) -> Content:
        """Computes the digest of an array; ``kind`` names a type that numpy does not know."""
        values = np.asarray(values)
        state = hashlib.sha256(f"{kind or values.dtype.str}{values.shape}".encode())
        if values.dtype == object:
            state.update(repr(values.tolist()).encode())
        else:
            state.update(np.ascontiguousarray(values).tobytes())
        return cls(state.hexdigest(), values, movable, optional)


Contents = dict[str, Content]


def read_folder(folder: Path) -> tuple[dict[str, Contents], list[str]]:
    """Reads every file of a folder whose type is known.

    Returns:
      Relative path -> name within the file -> content, and the relative paths of all other files. Both are in the order
      in which the files were written, so that the first difference is nearest to its cause.
    """
    found, others = {}, []
    files = (path for path in folder.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: (path.stat().st_mtime_ns, path)):
        reader = _reader(path)
        if reader:
            found[path.relative_to(folder).as_posix()] = reader(path)
        else:
            others.append(path.relative_to(folder).as_posix())
    return found, others


def _reader(path: Path) -> Callable[[Path], Contents] | None:
    if path.name in LEFT_OUT:
        return None
    if path.parent.name == "assets":  # of a SavedModel: ids in the order of their rows
        return _bytes
    suffixes = {".tfrecord": _bytes, ".gz": _bytes, ".npy": _npy, ".npz": _npz, ".parquet": _parquet,
                ".keras": _keras, ".json": _json}
    return suffixes.get(path.suffix)


def _bytes(path: Path) -> Contents:
    return {"bytes": Content.of(np.frombuffer(path.read_bytes(), np.uint8))}


def _npy(path: Path) -> Contents:
    return {"values": Content.of(np.load(path))}


def _npz(path: Path) -> Contents:
    with np.load(path) as arrays:
        return {name: Content.of(values, movable=name.startswith("variables/")) for name, values in arrays.items()}


def _parquet(path: Path) -> Contents:
    table = pq.read_table(path)
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key not in ARROW_METADATA}
    head = {"columns": Content.of(np.array(table.column_names, np.str_)),
            "metadata": Content.of(np.array(sorted(map(str, metadata.items())), np.str_))}
    return head | {f"column {name}": _column(table[name]) for name in table.column_names}


def _column(column: pa.ChunkedArray) -> Content:
    plain = column.null_count == 0 and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type))
    if plain:
        return Content.of(column.to_numpy())
    values = np.empty(len(column), object)
    values[:] = column.to_pylist()
    return Content.of(values, kind=str(column.type))


def _keras(path: Path) -> Contents:
    """Weights of a network. Their names are layer names, which follow those of classes and attributes."""
    found = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = Content.of(item[()], movable=True)

    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(visit)
    return found


def _json(path: Path) -> Contents:
    """Numbers: metrics, losses, counts. Keys may be renamed, added or removed."""
    return {name: Content.of(value, movable=True, optional=True)
            for name, value in _numbers(json.loads(path.read_text()), "")}


def _numbers(tree: Any, place: str) -> Iterator[tuple[str, int | float]]:
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            if not UNSTABLE.search(str(key)):
                yield from _numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield place, tree
