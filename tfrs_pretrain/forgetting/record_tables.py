"""Records of pairs and impressions as Arrow tables, in both of their formats, and back.

The bytes of rows that do not change are those that the Beam jobs wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from beam_pipelines.records.blocks import LENGTHS, encode_block
from beam_pipelines.records.example_encoder import encode_examples
from beam_pipelines.records.example_parser import Column, MalformedExampleError, parse_examples
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.tfrecord_reader import DamagedFileError, read_tfrecord
from beam_pipelines.records.tfrecord_writer import write_tfrecord
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.staging import new_file

Types = Mapping[str, pa.DataType]
Edit = Callable[[pa.Table], pa.Table]


def read_tables(path: Path, types: Types, *, columnar: bool) -> Iterator[pa.Table]:
    """Yields the rows of a TFRecord file: one table for each block, or for some thousands of records.

    Args:
      path: the file.
      types: column -> Arrow type of all columns.
      columnar: whether a record is a block of rows.

    Raises:
      UserError: the file is damaged or has other columns.
    """
    try:
        for records in read_tfrecord(str(path)):
            if columnar:
                for number in range(len(records)):
                    yield _block(records.slice(number, number + 1), types)
            else:
                yield _examples(records, types)
    except (DamagedFileError, MalformedExampleError, KeyError, ValueError, pa.ArrowException) as error:
        raise UserError(f"records {str(path)!r} cannot be read ({' '.join(str(error).split())}): restore a copy, or "
                        "build the dataset again") from error


def edit_file(path: Path, types: Types, edit: Edit, *, columnar: bool) -> dict[str, Any] | None:
    """Applies an edit to all rows of a TFRecord file of a copied folder.

    Returns:
      The file's new bytes, records, examples and crc32c; None if nothing changed: the file is not written then.

    Raises:
      UserError: see ``read_tables``.
    """
    changed, examples = False, 0

    def edited() -> Iterator[RecordBuffer]:
        nonlocal changed, examples
        for table in read_tables(path, types, columnar=columnar):
            result = edit(table)
            changed, examples = changed or result is not table, examples + result.num_rows
            if result.num_rows:
                columns = {name: result[name].combine_chunks() for name in types}
                yield encode_block(columns) if columnar else encode_examples(columns)

    # The suffix of the temporary name decides the compression.
    temporary = path.with_name(f"new-{path.name}")
    summary = write_tfrecord(str(temporary), edited())
    if not changed:
        temporary.unlink()
        return None
    temporary.replace(new_file(path))
    return {"bytes": summary.bytes, "records": summary.records, "examples": examples, "crc32c": summary.crc32c}


def without_elements(lists: pa.ListArray, rows: np.ndarray) -> tuple[pa.ListArray, int]:
    """Removes the elements that are among some rows from int64 lists; returns the lists and the number removed."""
    values, offsets = lists.flatten().to_numpy(), lists.offsets.to_numpy().astype(np.int64)
    kept = ~np.isin(values, rows)
    ends = np.concatenate([[0], np.cumsum(kept)])[offsets - offsets[0]]
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values[kept])), int((~kept).sum())


def _examples(records: RecordBuffer, types: Types) -> pa.Table:
    columns = parse_examples(records)
    return pa.table({name: _column(columns[name], dtype, len(records)) for name, dtype in types.items()})


def _column(parts: list[Column], dtype: pa.DataType, num_records: int) -> pa.Array:
    if len(parts) > 1 or len(parts[0].records) != num_records:
        raise ValueError("records of one file have different columns")
    [part] = parts
    if pa.types.is_list(dtype):
        return pa.ListArray.from_arrays(_offsets(part.lengths), pa.array(part.values))
    if pa.types.is_string(dtype):
        return _strings(part.values, part.sizes)
    return pa.array(part.values, dtype)


def _block(record: RecordBuffer, types: Types) -> pa.Table:
    parts = {name: column.values.tobytes() for name, [column] in parse_examples(record).items()}
    return pa.table({name: _block_column(name, parts, dtype) for name, dtype in types.items()})


def _block_column(name: str, parts: Mapping[str, bytes], dtype: pa.DataType) -> pa.Array:
    if pa.types.is_list(dtype):
        lengths = np.frombuffer(parts[name + LENGTHS], "<i4")
        return pa.ListArray.from_arrays(_offsets(lengths), pa.array(np.frombuffer(parts[name], "<i8")))
    if pa.types.is_string(dtype):
        return _strings(np.frombuffer(parts[name], np.uint8), np.frombuffer(parts[name + LENGTHS], "<i4"))
    return pa.array(np.frombuffer(parts[name], np.dtype(dtype.to_pandas_dtype()).newbyteorder("<")))


def _strings(data: np.ndarray, sizes: np.ndarray) -> pa.Array:
    offsets = _offsets(sizes)
    return pa.StringArray.from_buffers(len(sizes), offsets.buffers()[1], pa.py_buffer(data.tobytes()))


def _offsets(lengths: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
