"""Types of raw values: how a declared dtype is stored, and which value stands for a missing one."""

from __future__ import annotations

import pyarrow as pa

ARROW_TYPES = {"int64": pa.int64(), "string": pa.string(), "float32": pa.float32()}
# A missing id or category is an ordinary value, which may have a row of its own. A missing number is NaN.
MISSING: dict[str, int | str] = {"int64": -1, "string": ""}


def missing_value(dtype: str) -> int | str | float:
    """The value that stands for a missing one: -1 (int64), "" (string) or NaN (float32)."""
    return MISSING.get(dtype, float("nan"))
