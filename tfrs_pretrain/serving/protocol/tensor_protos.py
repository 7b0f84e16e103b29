"""Conversion between numpy arrays and ``TensorProto`` without TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tfrs_pretrain.serving.protocol.messages import DataType, TensorProto

# Number of the message's dtype -> (numpy dtype, field with the values where tensor_content is empty)
_DTYPES: dict[int, tuple[Any, str]] = {
    DataType.DT_FLOAT: (np.dtype("<f4"), "float_val"), DataType.DT_DOUBLE: (np.dtype("<f8"), "double_val"),
    DataType.DT_INT32: (np.dtype("<i4"), "int_val"), DataType.DT_INT64: (np.dtype("<i8"), "int64_val"),
    DataType.DT_BOOL: (np.dtype(bool), "bool_val"), DataType.DT_STRING: (np.dtype(object), "string_val"),
}
_NUMBERS = {dtype: number for number, (dtype, _) in _DTYPES.items()}
MAX_ELEMENTS, MAX_RANK = 1 << 26, 8


def dtype_name(number: int) -> str:
    """Returns the name of a message's dtype, such as ``int64`` for DT_INT64."""
    return str(DataType.Name(number)).removeprefix("DT_").lower().replace("float", "float32")


def numpy_dtype(number: int) -> Any:
    """Returns the numpy dtype of a message's dtype; ``object`` for strings, whose values are bytes.

    Raises:
      ValueError: the dtype is not supported.
    """
    if number not in _DTYPES:
        raise ValueError(f"dtype {number} is not supported")
    return _DTYPES[number][0]


def to_proto(values: np.ndarray) -> Any:
    """Converts an array of numbers or of strings (str or bytes) to a ``TensorProto``.

    Raises:
      ValueError: the array's dtype is not supported.
    """
    if values.dtype.kind in "OUS":
        message = TensorProto(dtype=DataType.DT_STRING)
        message.string_val.extend(value.encode() if isinstance(value, str) else bytes(value)
                                  for value in values.ravel().tolist())
    else:
        little_endian = values.dtype.newbyteorder("<")
        if little_endian not in _NUMBERS:
            raise ValueError(f"values of dtype {values.dtype} cannot be sent: expected int64, float32 or strings")
        content = np.ascontiguousarray(values, little_endian).tobytes()
        message = TensorProto(dtype=_NUMBERS[little_endian], tensor_content=content)
    for size in values.shape:
        message.tensor_shape.dim.add(size=size)
    return message


def from_proto(message: Any) -> np.ndarray:
    """Converts a ``TensorProto`` to an array; strings become objects (bytes).

    As in TensorFlow, the last value of the message fills all positions that follow it.

    Raises:
      ValueError: the dtype or rank is not supported, the shape has more than ``MAX_ELEMENTS`` values, or the values do
        not match the shape.
    """
    dtype, field = numpy_dtype(message.dtype), _DTYPES[message.dtype][1]
    shape = _shape(message)
    size = math.prod(shape)
    if message.tensor_content:
        if dtype.hasobject or len(message.tensor_content) != size * dtype.itemsize:
            raise ValueError(f"{len(message.tensor_content)} bytes do not fill shape {shape}")
        return np.frombuffer(message.tensor_content, dtype).reshape(shape)
    values = getattr(message, field)
    if len(values) > size or (size and not len(values)):
        raise ValueError(f"{len(values)} values do not fill shape {shape}")
    array = np.empty(size, dtype)
    array[:len(values)] = list(values)
    array[len(values):] = values[-1] if len(values) else 0
    return array.reshape(shape)


def _shape(message: Any) -> list[int]:
    shape = [dim.size for dim in message.tensor_shape.dim]
    if message.tensor_shape.unknown_rank or min(shape, default=0) < 0 or len(shape) > MAX_RANK:
        raise ValueError(f"shape {shape} is not that of a tensor")
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"shape {shape} has more than {MAX_ELEMENTS} values")
    return shape
