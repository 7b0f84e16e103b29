"""Orders ids by their 64-bit hash, in parts that divide the hashes by their top bits."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import hash_ids

IDS_PER_PART = 1 << 20  # expected; a part is sorted in memory
IDS_PER_HASH = 1 << 16  # hashing texts takes about 30 bytes of memory for each byte of text


def in_hash_order(ids: pa.Array, rows: np.ndarray) -> list[pa.RecordBatch]:
    """Orders ids in memory.

    Args:
      ids: Arrow array [n], without nulls.
      rows: int64 [n], their rows.

    Returns:
      The parts, ascending: columns hash (uint64), row (int32) and, for strings, id (large_string).

    Raises:
      UserError: an id has two rows.
    """
    return [_distinct(part) for part in _divide(ids, rows, _num_bits(len(ids)))]


def in_hash_order_on_disk(batches: Iterable[tuple[pa.Array, np.ndarray]], num_ids: int) -> Iterator[pa.RecordBatch]:
    """Orders ids as ``in_hash_order`` does; the memory holds one batch and one part.

    Args:
      batches: ids and rows, of ``num_ids`` ids together.
      num_ids: expected number of ids.

    Raises:
      UserError: an id has two rows.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, str(part)) for part in range(1 << _num_bits(num_ids))]
        with contextlib.ExitStack() as files:
            writers: dict[Path, pa.RecordBatchStreamWriter] = {}
            for ids, rows in batches:
                for path, piece in zip(paths, _divide(ids, rows, _num_bits(num_ids)), strict=True):
                    if path not in writers:
                        writers[path] = files.enter_context(pa.ipc.new_stream(str(path), piece.schema))
                    writers[path].write_batch(piece)
        for path in paths:
            if path.exists():
                with pa.OSFile(str(path)) as file:
                    yield _distinct(_merge(list(pa.ipc.open_stream(file))))
                path.unlink()


def _num_bits(num_ids: int) -> int:
    return max(num_ids - 1, 0).bit_length() - min(max(num_ids - 1, 0).bit_length(), IDS_PER_PART.bit_length() - 1)


def _divide(ids: pa.Array, rows: np.ndarray, num_bits: int) -> list[pa.RecordBatch]:
    """Divides ids by the top ``num_bits`` of their hashes, in the order of the hashes."""
    starts = range(0, len(ids) or 1, IDS_PER_HASH)
    hashes = np.concatenate([hash_ids(ids.slice(start, IDS_PER_HASH)) for start in starts])
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    columns = {"hash": pa.array(hashes), "row": pa.array(rows[order].astype(np.int32))}
    if not pa.types.is_int64(ids.type):
        columns["id"] = ids.cast(pa.large_string()).take(pa.array(order))
    batch = pa.RecordBatch.from_pydict(columns)
    firsts = np.arange(1, 1 << num_bits, dtype=np.uint64) << np.uint64(64 - num_bits) if num_bits else hashes[:0]
    bounds = [0, *np.searchsorted(hashes, firsts).tolist(), len(hashes)]
    return [batch.slice(start, end - start) for start, end in itertools.pairwise(bounds)]


def _merge(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    batch = pa.concat_batches(pieces)
    return batch.take(pa.array(np.argsort(batch["hash"].to_numpy(), kind="stable")))


def _distinct(part: pa.RecordBatch) -> pa.RecordBatch:
    """Returns a part after checking that each id occurs once."""
    hashes = part["hash"].to_numpy()
    is_repeated = np.append(False, hashes[1:] == hashes[:-1])[:len(hashes)]
    if is_repeated.any():
        is_repeated[:-1] |= is_repeated[1:]
        repeated = part.filter(pa.array(is_repeated))
        keys = repeated["id"] if "id" in part.schema.names else repeated["hash"]
        if count := len(keys) - len(keys.unique()):
            raise UserError(f"a vocabulary has one row for each id, but {count} rows repeat an id, such as row "
                            f"{repeated['row'][0]}: build the dataset again")
    return part
