"""numpy arrays and ``TensorProto``, without TensorFlow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tfrs_pretrain.serving.protocol.messages import TensorProto, types_pb2

# dtype of the message -> (numpy's, field that holds the values where there is no tensor_content)
_KINDS: dict[int, tuple[Any, str]] = {
    types_pb2.DT_FLOAT: (np.dtype("<f4"), "float_val"), types_pb2.DT_DOUBLE: (np.dtype("<f8"), "double_val"),
    types_pb2.DT_INT32: (np.dtype("<i4"), "int_val"), types_pb2.DT_INT64: (np.dtype("<i8"), "int64_val"),
    types_pb2.DT_BOOL: (np.dtype(bool), "bool_val"), types_pb2.DT_STRING: (np.dtype(object), "string_val"),
}
_DTYPES = {kind: number for number, (kind, _) in _KINDS.items()}
MAX_ELEMENTS = 1 << 26


def dtype_name(number: int) -> str:
    """``int64`` for DT_INT64."""
    return str(types_pb2.DataType.Name(number)).removeprefix("DT_").lower().replace("float", "float32")


def numpy_dtype(number: int) -> Any:
    """numpy's dtype for the number of a message's; strings are objects (bytes).

    Raises:
      ValueError: it has no counterpart here.
    """
    if number not in _KINDS:
        raise ValueError(f"dtype {number} is not supported")
    return _KINDS[number][0]


def to_proto(values: np.ndarray) -> Any:
    """The message of an array of numbers, or of strings (str or bytes).

    Raises:
      ValueError: the array has another dtype.
    """
    if values.dtype.kind in "OUS":
        message = TensorProto(dtype=types_pb2.DT_STRING)
        message.string_val.extend(each.encode() if isinstance(each, str) else bytes(each)
                                  for each in values.ravel().tolist())
    else:
        little = values.dtype.newbyteorder("<")
        if little not in _DTYPES:
            raise ValueError(f"values of dtype {values.dtype} cannot be sent: expected int64, float32 or strings")
        message = TensorProto(dtype=_DTYPES[little], tensor_content=np.ascontiguousarray(values, little).tobytes())
    for size in values.shape:
        message.tensor_shape.dim.add(size=size)
    return message


def from_proto(message: Any) -> np.ndarray:
    """The array of a message; strings as objects (bytes).

    As TensorFlow reads it: a last value stands for all that follow it.

    Raises:
      ValueError: unknown dtype or rank, sizes below 0 or of more than 2^26 values, or values that do not fit the shape.
    """
    kind, field = numpy_dtype(message.dtype), _KINDS[message.dtype][1]
    shape = [dim.size for dim in message.tensor_shape.dim]
    if message.tensor_shape.unknown_rank or min(shape, default=0) < 0 or len(shape) > 8:
        raise ValueError(f"shape {shape} is not that of a tensor")
    size = math.prod(shape)
    if size > MAX_ELEMENTS:
        raise ValueError(f"shape {shape} has more than {MAX_ELEMENTS} values")
    if message.tensor_content:
        if kind.hasobject or len(message.tensor_content) != size * kind.itemsize:
            raise ValueError(f"{len(message.tensor_content)} bytes do not fill shape {shape}")
        return np.frombuffer(message.tensor_content, kind).reshape(shape)
    values = getattr(message, field)
    if len(values) > size or (size and not len(values)):
        raise ValueError(f"{len(values)} values do not fill shape {shape}")
    array = np.empty(size, kind)
    array[:len(values)] = list(values)
    array[len(values):] = values[-1] if len(values) else 0
    return array.reshape(shape)
