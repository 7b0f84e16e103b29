"""Predict over REST: JSON in row or column format, and tensors."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrs_pretrain.serving.client.rest_client import to_json
from tfrs_pretrain.serving.protocol.tensor_protos import dtype_name, numpy_dtype
from tfrs_pretrain.serving.server.errors import invalid_argument

ROWS, COLUMNS = "instances", "inputs"
_INTEGERS = {"int64": (-(1 << 63), (1 << 63) - 1), "int32": (-(1 << 31), (1 << 31) - 1)}
_LARGEST = {"float32": float(np.finfo(np.float32).max), "double": float(np.finfo(np.float64).max)}
_LARGEST_WHOLE = {"float32": (1 << 24) - 1, "double": (1 << 53) - 1}  # that no other integer is rounded to


def read_inputs(body: Mapping[str, Any], signature: Any) -> dict[str, np.ndarray]:
    """Input -> values of a request's body.

    Raises:
      Refused: the body has neither or both formats, or values that do not fit the signature's dtypes.
    """
    if (ROWS in body) == (COLUMNS in body):
        raise invalid_argument(f"expected exactly one of {ROWS!r} and {COLUMNS!r} in the request")
    columns = _of_rows(body[ROWS], signature) if ROWS in body else _of_columns(body[COLUMNS], signature)
    unknown = sorted(columns.keys() - signature.inputs.keys())
    if unknown:
        raise invalid_argument(f"JSON object: does not have named input: {unknown[0]!r}")
    return {name: _array(name, values, signature.inputs[name].dtype) for name, values in columns.items()}


def write_outputs(outputs: Mapping[str, np.ndarray], *, rows: bool) -> dict[str, Any]:
    """The body of an answer in the format of its request.

    Raises:
      Refused: rows are asked for and the outputs differ in length.
    """
    plain = {name: to_json(values) for name, values in outputs.items()}
    if not rows:
        return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}
    if len({values.shape[:1] for values in outputs.values()}) != 1 or not next(iter(outputs.values())).shape:
        raise invalid_argument("outputs differ in batch size: ask in column format")
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]}


def from_base64(text: Any) -> bytes:
    """Bytes of a ``{"b64": text}``.

    Raises:
      Refused: it is no base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise invalid_argument("unable to base64 decode") from error


def _of_rows(rows: Any, signature: Any) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not rows:
        raise invalid_argument(f"{ROWS!r} must be a list of at least one item")
    if not all(_is_named(row) for row in rows):
        return {_only(signature): rows}
    names = set(rows[0])
    for number, row in enumerate(rows):
        if set(row) != names:
            raise invalid_argument(f"item {number} of {ROWS!r} has inputs {sorted(row)}, the first has {sorted(names)}")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _of_columns(columns: Any, signature: Any) -> dict[str, Any]:
    if not _is_named(columns):
        return {_only(signature): columns}
    # TensorFlow Serving overlooks what is no input; of rows it does not.
    return {name: values for name, values in columns.items() if name in signature.inputs}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _only(signature: Any) -> str:
    if len(signature.inputs) != 1:
        raise invalid_argument(f"values without a name, but the signature has {len(signature.inputs)} inputs: "
                               "name them")
    return next(iter(signature.inputs))


def _array(name: str, values: Any, dtype: int) -> np.ndarray:
    shape, first = [], values
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > 8:
            raise invalid_argument(f"input {name!r} is nested too deep")
        first = first[0] if first else None
    flat: list[Any] = []
    _flatten(name, values, shape, flat)
    kind = dtype_name(dtype)
    array = np.empty(len(flat), numpy_dtype(dtype))
    array[:] = [_value(name, value, kind) for value in flat]
    return array.reshape(shape)


def _flatten(name: str, values: Any, shape: list[int], flat: list[Any]) -> None:
    if not shape:
        flat.append(values)
        return
    if not isinstance(values, list) or len(values) != shape[0]:
        raise invalid_argument(f"input {name!r} is ragged: expected a list of {shape[0]} values")
    if len(shape) == 1:
        flat.extend(values)
        return
    for each in values:
        _flatten(name, each, shape[1:], flat)


def _value(name: str, value: Any, kind: str) -> Any:
    if kind == "string" and isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if kind == "string" and _is_base64(value):
        return from_base64(value["b64"])
    if kind == "bool" and isinstance(value, bool):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in _INTEGERS and number and isinstance(value, int) and _INTEGERS[kind][0] <= value <= _INTEGERS[kind][1]:
        return value
    if kind in _LARGEST and number:
        largest = (_LARGEST_WHOLE if isinstance(value, int) else _LARGEST)[kind]
        if (isinstance(value, float) and not math.isfinite(value)) or abs(value) <= largest:
            return float(value)
    raise invalid_argument(f"input {name!r}: JSON value {str(value)[:100]!r} is not of expected type: {kind}")

