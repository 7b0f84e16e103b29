"""Look-up of ids by sorted 64-bit hashes, in memory or in a file that all processes of a machine map.

The file is in Arrow's IPC format, not compressed, so a process that opens it reads nothing: the pages that its look-ups
touch are read once per machine. Each record batch has the columns ``hash`` (uint64, ascending), ``row`` (int32) and,
for string ids, ``id``; the batches divide the hashes by their top bits. The hash of integers is a bijection. Strings of
equal hash are told apart by the id itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hash_order import in_hash_order
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.value_types import ARROW_TYPES, MISSING

REBUILD = "restore a copy of the folder, or build the dataset again"


class IdLookup:
    """Maps ids of one space to rows of a table.

    Args:
      parts: record batches, see above.
      dtype: type of the ids, "int64" or "string".
      oov_rows: number of rows, from 0, that all other ids share by hash.
      num_rows: number of rows of the table, shared and free ones included.
      digest: of the vocabulary.
    """

    def __init__(self, parts: list[pa.RecordBatch], dtype: str, oov_rows: int, num_rows: int, digest: str):
        self.dtype, self.oov_rows, self.num_rows, self.digest = dtype, oov_rows, num_rows, digest
        self._parts = [_Part(part) for part in parts if part.num_rows]
        self._starts = np.array([part.hashes[0] for part in self._parts], np.uint64)

    @classmethod
    def from_ids(cls, ids: pa.Array, rows: np.ndarray, *, oov_rows: int, num_rows: int, digest: str = "") -> IdLookup:
        """Builds a look-up in memory.

        Args:
          ids: Arrow array [n], without nulls.
          rows: int64 [n], their rows.
          oov_rows: number of shared rows.
          num_rows: number of all rows.
          digest: of the vocabulary.

        Raises:
          UserError: an id has two rows.
        """
        dtype = "int64" if pa.types.is_int64(ids.type) else "string"
        return cls(in_hash_order(ids, rows), dtype, oov_rows, num_rows, digest)

    @classmethod
    def open(cls, path: Path, digest: str | None) -> IdLookup:
        """Maps a file that ``save`` wrote.

        Args:
          path: local file.
          digest: of the vocabulary that the file must belong to; None: any.

        Raises:
          UserError: the file is missing, is no such file, or belongs to another vocabulary.
        """
        try:
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                metadata = {key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()}
                parts = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            lookup = cls(parts, metadata["dtype"], int(metadata["oov_rows"]), int(metadata["num_rows"]),
                         metadata["digest"])
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise UserError(f"look-up file {str(path)!r} cannot be read ({' '.join(str(error).split())}): {REBUILD}"
                            ) from error
        if digest not in (None, lookup.digest):
            raise UserError(f"look-up file {str(path)!r} belongs to another vocabulary (digest {lookup.digest[:12]}, "
                            f"expected {str(digest)[:12]}): {REBUILD}")
        return lookup

    def save(self, path: Path) -> None:
        """Writes the file."""
        write_parts(path, (part.batch for part in self._parts), dtype=self.dtype, oov_rows=self.oov_rows,
                    num_rows=self.num_rows, digest=self.digest)

    def lookup(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Maps raw values to rows.

        Args:
          values: Arrow array [n] of the type of the ids, plain or dictionary-encoded; null stands for the missing value
            ("" or -1).

        Returns:
          int64 [n] rows.

        Raises:
          TypeError: values are of another type than the ids.
        """
        if isinstance(values, pa.ChunkedArray):  # all chunks may have more text than one array can contain
            return np.concatenate([np.empty(0, np.int64), *map(self.lookup, values.chunks)])
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if values.type != ARROW_TYPES[self.dtype] and not (
                self.dtype == "string" and pa.types.is_large_string(values.type)):
            raise TypeError(f"expected values of type {ARROW_TYPES[self.dtype]}, as in this vocabulary, received "
                            f"{values.type}")
        values = values.fill_null(MISSING[self.dtype])
        hashes = hash_ids(values)
        rows = (hashes % np.uint64(self.oov_rows)).astype(np.int64)
        # Sorted queries touch neighbouring pages one after another.
        order = np.argsort(hashes)
        bounds = np.searchsorted(hashes, self._starts, sorter=order).tolist()
        for part, start, end in zip(self._parts, bounds, [*bounds, len(order)][1:], strict=True):
            if start < end:
                places = order[start:end]
                part.write_rows(rows, places, hashes[places], values)
        return rows

    def count_known(self, ids: pa.Array) -> int:
        """Counts the ids [n] that have a row of their own."""
        return int((self.lookup(ids) >= self.oov_rows).sum())


class _Part:
    """One record batch."""

    def __init__(self, batch: pa.RecordBatch):
        self.batch = batch
        self.hashes, self._rows = batch["hash"].to_numpy(), batch["row"].to_numpy()
        self._ids = batch["id"] if "id" in batch.schema.names else None

    def write_rows(self, rows: np.ndarray, places: np.ndarray, hashes: np.ndarray, values: pa.Array) -> None:
        """Writes the rows of the ids of this part.

        Args:
          rows: int64 [n], to change.
          places: [m], places in ``rows`` and ``values``, in the order of the hashes.
          hashes: uint64 [m], ascending.
          values: ids [n], Arrow array.
        """
        found = np.searchsorted(self.hashes, hashes)
        places, found = self._of_equal_hash(places, hashes, found)
        if self._ids is None:
            rows[places] = self._rows[found]
            return
        while len(places):
            is_same = _equal(self._ids, found, values, places)
            rows[places[is_same]] = self._rows[found[is_same]]
            others, following = places[~is_same], found[~is_same] + 1
            places, found = self._of_equal_hash(others, self.hashes[following - 1], following)

    def _of_equal_hash(self, places: np.ndarray, hashes: np.ndarray, found: np.ndarray
                       ) -> tuple[np.ndarray, np.ndarray]:
        """Selects the places whose hash is at ``found``."""
        is_equal = self.hashes[np.minimum(found, len(self.hashes) - 1)] == hashes
        is_equal &= found < len(self.hashes)
        return places[is_equal], found[is_equal]


def _equal(ids: pa.Array, found: np.ndarray, values: pa.Array, places: np.ndarray) -> np.ndarray:
    known, wanted = ids.take(pa.array(found)), values.take(pa.array(places))
    equal: np.ndarray = pc.equal(known, wanted.cast(known.type)).to_numpy(zero_copy_only=False)
    return equal


def write_parts(path: Path, parts: Iterable[pa.RecordBatch], *, dtype: str, oov_rows: int, num_rows: int, digest: str
                ) -> None:
    """Writes a look-up file from parts in the order of their hashes; the arguments are those of ``IdLookup``."""
    fields = [("hash", pa.uint64()), ("row", pa.int32()), *([("id", pa.large_string())] if dtype == "string" else [])]
    metadata = {"dtype": dtype, "oov_rows": str(oov_rows), "num_rows": str(num_rows), "digest": digest}
    schema = pa.schema(fields, metadata)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for part in parts:
            if part.num_rows:
                # Equal parts become equal bytes: a slice is copied.
                writer.write_batch(pa.concat_batches([part.cast(schema)]))
