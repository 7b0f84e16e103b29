"""Predict over REST: conversion between tensors and JSON in row format ("instances") or column format ("inputs")."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrs_pretrain.serving.client.rest_client import to_json
from tfrs_pretrain.serving.protocol.tensor_protos import MAX_RANK, dtype_name, numpy_dtype
from tfrs_pretrain.serving.server.errors import invalid_argument

INSTANCES, INPUTS = "instances", "inputs"

_INTEGER_RANGE = {"int64": (-(1 << 63), (1 << 63) - 1), "int32": (-(1 << 31), (1 << 31) - 1)}
_MAX_FLOAT = {"float32": float(np.finfo(np.float32).max), "double": float(np.finfo(np.float64).max)}
# The largest integer n such that a float represents n and no other integer rounds to n.
_MAX_EXACT_INTEGER = {"float32": (1 << 24) - 1, "double": (1 << 53) - 1}


def read_inputs(body: Mapping[str, Any], signature: Any) -> dict[str, np.ndarray]:
    """Reads the input tensors of a request body.

    Args:
      body: parsed JSON.
      signature: ``SignatureDef`` of the requested signature.

    Returns:
      Input name -> values in the signature's dtype.

    Raises:
      StatusError: the body has neither or both formats, or values that do not match the signature's dtypes.
    """
    if (INSTANCES in body) == (INPUTS in body):
        raise invalid_argument(f"expected exactly one of {INSTANCES!r} and {INPUTS!r} in the request")
    columns = _from_rows(body[INSTANCES], signature) if INSTANCES in body else _from_columns(body[INPUTS], signature)
    unknown = sorted(columns.keys() - signature.inputs.keys())
    if unknown:
        raise invalid_argument(f"JSON object: does not have named input: {unknown[0]!r}")
    return {name: _array(name, values, signature.inputs[name].dtype) for name, values in columns.items()}


def write_outputs(outputs: Mapping[str, np.ndarray], *, row_format: bool) -> dict[str, Any]:
    """Returns the response body, in the format of the request.

    Raises:
      StatusError: row format is requested and the outputs differ in batch size.
    """
    values = {name: to_json(output) for name, output in outputs.items()}
    if not row_format:
        return {"outputs": values if len(values) > 1 else next(iter(values.values()))}
    if len({output.shape[:1] for output in outputs.values()}) != 1 or not next(iter(outputs.values())).shape:
        raise invalid_argument("outputs differ in batch size: use the column format")
    if len(values) == 1:
        return {"predictions": next(iter(values.values()))}
    return {"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]}


def from_base64(text: Any) -> bytes:
    """Decodes the text of a ``{"b64": text}`` object.

    Raises:
      StatusError: INVALID_ARGUMENT, it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise invalid_argument("unable to base64 decode") from error


def _from_rows(rows: Any, signature: Any) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not rows:
        raise invalid_argument(f"{INSTANCES!r} must be a list of at least one item")
    if not all(_is_named(row) for row in rows):
        return {_only_input(signature): rows}
    names = set(rows[0])
    for position, row in enumerate(rows):
        if set(row) != names:
            raise invalid_argument(f"item {position} of {INSTANCES!r} has inputs {sorted(row)}, the first has "
                                   f"{sorted(names)}")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _from_columns(columns: Any, signature: Any) -> dict[str, Any]:
    if not _is_named(columns):
        return {_only_input(signature): columns}
    # TensorFlow Serving ignores unknown inputs in column format, but not in row format.
    return {name: values for name, values in columns.items() if name in signature.inputs}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _only_input(signature: Any) -> str:
    if len(signature.inputs) != 1:
        raise invalid_argument(f"values without an input name, but the signature has {len(signature.inputs)} inputs: "
                               "name them")
    return str(next(iter(signature.inputs)))


def _array(name: str, values: Any, dtype: int) -> np.ndarray:
    """Array of nested lists.

    Args:
      name: name of the input, for messages.
      values: nested lists, or one value.
      dtype: number of the dtype in ``TensorProto``.
    """
    shape, first = [], values
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > MAX_RANK:
            raise invalid_argument(f"input {name!r} has more than {MAX_RANK} dimensions")
        first = first[0] if first else None
    flat: list[Any] = []
    _flatten(name, values, shape, flat)
    kind = dtype_name(dtype)
    array = np.empty(len(flat), numpy_dtype(dtype))
    array[:] = [_value(name, value, kind) for value in flat]
    return array.reshape(shape)


def _flatten(name: str, values: Any, shape: list[int], flat: list[Any]) -> None:
    """Appends the values of nested lists to ``flat`` and checks that they have this shape."""
    if not shape:
        flat.append(values)
        return
    if not isinstance(values, list) or len(values) != shape[0]:
        raise invalid_argument(f"input {name!r} is ragged: expected a list of {shape[0]} values")
    if len(shape) == 1:
        flat.extend(values)
        return
    for item in values:
        _flatten(name, item, shape[1:], flat)


def _value(name: str, value: Any, kind: str) -> Any:
    """Converts a JSON value; refuses integers and floats that the dtype cannot represent."""
    if kind == "string" and isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if kind == "string" and _is_base64(value):
        return from_base64(value["b64"])
    if kind == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind in _INTEGER_RANGE and isinstance(value, int) and _in_range(value, *_INTEGER_RANGE[kind]):
            return value
        if kind in _MAX_FLOAT and _is_representable(value, kind):
            return float(value)
    raise invalid_argument(f"input {name!r}: JSON value {str(value)[:100]!r} is not of expected type: {kind}")


def _in_range(value: int, low: int, high: int) -> bool:
    return low <= value <= high


def _is_representable(value: float, kind: str) -> bool:
    if isinstance(value, int):
        return abs(value) <= _MAX_EXACT_INTEGER[kind]
    return not math.isfinite(value) or abs(value) <= _MAX_FLOAT[kind]
