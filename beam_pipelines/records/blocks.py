"""Columnar blocks: many rows in one record, each column as one bytes value of little-endian numbers.

A column without a fixed width becomes two: ``name`` contains the values of all rows (UTF-8 bytes, or int64), and
``name.lengths`` the number of values of each row (int32).
"""

import numpy as np
import pyarrow as pa

from beam_pipelines.records.example_encoder import encode_examples
from beam_pipelines.records.record_buffer import RecordBuffer

LENGTHS = ".lengths"


def encode_block(columns: dict[str, pa.Array]) -> RecordBuffer:
    """Encodes rows as one record.

    Args:
      columns: name -> Arrow array [n] of int32, int64, float32, string or list of int64, without nulls.

    Returns:
      One serialized tf.Example.
    """
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
