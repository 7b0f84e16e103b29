"""JSON bodies of ``tfrs-pretrain query`` as typed values."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.response_types import Signature


def typed_columns(columns: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Converts values to the dtypes of a signature: JSON's 1 may stand for a float.

    Args:
      columns: input name -> values.
      signature: the signature; inputs that it does not have, and strings, stay unchanged.

    Raises:
      UserError: values cannot be converted without loss.
    """
    return {name: _numbers(name, values, signature.inputs[name].dtype)
            if name in signature.inputs and signature.inputs[name].dtype != "string" else values
            for name, values in columns.items()}


def _numbers(name: str, values: Any, dtype: str) -> np.ndarray:
    """Array of numbers; refuses strings, integers with a fraction, and numbers that overflow to infinity."""
    array = np.array(values)
    allowed_kinds = "i" if dtype == "int64" else "iufO"  # O: with null, the missing value
    with contextlib.suppress(FloatingPointError), np.errstate(over="raise"):
        if not array.size or array.dtype.kind in allowed_kinds:
            return array.astype(dtype)
    raise UserError(f"input {name!r} requires {dtype}, got {str(values)[:100]}")


def empty_candidates(signature: Signature, other_inputs: set[str]) -> dict[str, np.ndarray]:
    """Returns an array without values for every input of a signature except ``other_inputs``."""
    return {name: np.empty([size or 0 for size in spec.shape], spec.dtype if spec.dtype != "string" else object)
            for name, spec in signature.inputs.items() if name not in other_inputs}


def columns_of(rows: Any) -> dict[str, list[Any]]:
    """Converts a list of objects to name -> values; the first object determines the names."""
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def examples_of(body: Any) -> list[dict[str, Any]]:
    """Returns the list of objects of a body, which may be the list itself or ``{"examples": list}``.

    Raises:
      TypeError: the body is neither.
    """
    examples = body["examples"] if isinstance(body, dict) else body
    if not isinstance(examples, list) or not all(isinstance(features, dict) for features in examples):
        raise TypeError("not a list of objects")
    return examples
