"""Arrow types in which a table may store raw values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class StoredType:
    """A family of Arrow types.

    Attributes:
      description: for messages.
      accepts: whether an Arrow type belongs to it.
    """

    description: str
    accepts: Callable[[pa.DataType], bool]

    def also(self, other: StoredType) -> StoredType:
        """The types that belong to both families."""
        if other.description == self.description:
            return self
        return StoredType(f"{self.description}, and also {other.description}",
                          lambda stored: self.accepts(stored) and other.accepts(stored))


def plain_type(stored: pa.DataType) -> pa.DataType:
    """Returns the type of the same values without dictionaries and without 64-bit offsets.

    Parts of a table that were written one by one may differ in both; their plain types can be concatenated.
    """
    if pa.types.is_dictionary(stored):
        return plain_type(stored.value_type)
    if pa.types.is_list(stored) or pa.types.is_large_list(stored):
        return pa.list_(plain_type(stored.value_type))
    return pa.string() if pa.types.is_large_string(stored) else stored


def is_text(stored: pa.DataType) -> bool:
    """Whether the values are strings, dictionary-encoded or not."""
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))


def is_integer(stored: pa.DataType) -> bool:
    """Whether every value fits into int64."""
    # Half of uint64 does not.
    return bool(pa.types.is_integer(stored) and not pa.types.is_uint64(stored))


def is_number(stored: pa.DataType) -> bool:
    """Whether the values are integers or floating-point numbers."""
    return bool(pa.types.is_integer(stored) or pa.types.is_floating(stored))


STORED_TYPES = {"int64": StoredType("integer", is_integer), "string": StoredType("string", is_text),
                "float32": StoredType("number", is_number)}
"""By declared dtype."""


def list_type(dtype: str) -> StoredType:
    """Lists of values of a declared dtype."""
    values = STORED_TYPES[dtype]
    return StoredType(f"list of {values.description}", lambda stored: (
        pa.types.is_list(stored) or pa.types.is_large_list(stored)) and values.accepts(stored.value_type))
