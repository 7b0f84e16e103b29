"""Many rows in one record: each column one value of little-endian bytes.

Columns without a fixed width are two: ``name`` holds the values of all rows one after another (UTF-8 bytes, or int64),
``name.lengths`` how many of them belong to each row (int32).
"""

import numpy as np
import pyarrow as pa

from beam_pipelines.records.example_encoder import RecordBuffer, encode_examples

LENGTHS = ".lengths"


def encode_block(columns: dict[str, pa.Array]) -> RecordBuffer:
    """One record of columns [n] of int32, int64, float32, string or list of int64, without nulls."""
    parts: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        parts |= _parts(name, column)
    return encode_examples({name: pa.array([_little_endian(values).tobytes()], pa.binary())
                            for name, values in parts.items()})


def _parts(name: str, column: pa.Array) -> dict[str, np.ndarray]:
    if pa.types.is_list(column.type):
        return {name: column.flatten().to_numpy(), name + LENGTHS: np.diff(column.offsets.to_numpy()).astype(np.int32)}
    if pa.types.is_string(column.type):
        encoded = [value.encode() for value in column.to_pylist()]
        return {name: np.frombuffer(b"".join(encoded), np.uint8),
                name + LENGTHS: np.array([len(value) for value in encoded], np.int32)}
    return {name: column.to_numpy(zero_copy_only=False)}


def _little_endian(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
