"""Comparison of received outputs and signatures with expected ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfrs_pretrain.serving.client import Signature


def max_difference(expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray]) -> float | str:
    """Compares outputs by name.

    Returns:
      The largest absolute difference of any output, infinite where a value is NaN; or a text that describes another
      difference: of names, shapes or strings.
    """
    if set(expected) != set(received):
        return f"outputs {sorted(received)} instead of {sorted(expected)}"
    largest = 0.0
    for name, values in expected.items():
        if values.shape != received[name].shape:
            return f"output {name!r} of shape {list(received[name].shape)} instead of {list(values.shape)}"
        if values.dtype.kind in "OUS":
            if [_text(value) for value in values.flat] != [_text(value) for value in received[name].flat]:
                return f"output {name!r} has other values"
        elif values.size:
            differences = np.abs(values.astype(np.float64) - received[name].astype(np.float64))
            largest = max(largest, float(np.where(np.isnan(differences), np.inf, differences).max()))
    return largest


def signature_lines(signature: Signature) -> list[str]:
    """Describes a signature: its method, then each input and output with dtype and shape."""
    sides = (("input", signature.inputs), ("output", signature.outputs))
    tensors = sorted(f"{side} {name}: {spec}" for side, specs in sides for name, spec in specs.items())
    return [f"method {signature.method}", *tensors]


def only_in_each(expected: list[str], received: list[str]) -> tuple[str, str]:
    """Returns the lines that only one side has, or the number of tensors where both sides agree."""
    if expected == received:
        return (f"{len(expected) - 1} tensors",) * 2
    return _missing_from(received, expected), _missing_from(expected, received)


def _missing_from(other: list[str], lines: list[str]) -> str:
    return ", ".join(line for line in lines if line not in other) or "nothing more"


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
