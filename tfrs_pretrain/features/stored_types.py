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
    if is_any_list(stored):
        return pa.list_(plain_type(stored.value_type))
    return pa.string() if is_text(stored) else stored


def is_text(stored: pa.DataType) -> bool:
    """Whether the values are strings, dictionary-encoded or not."""
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_string_view(stored))


def is_number(stored: pa.DataType) -> bool:
    """Whether the values are numbers. Where integers are declared, each value is checked: see ``stored_values``."""
    return bool(pa.types.is_integer(stored) or pa.types.is_floating(stored) or pa.types.is_decimal(stored))


def is_flag_or_number(stored: pa.DataType) -> bool:
    """Whether the values are numbers, or true and false, which stand for 1 and 0."""
    return is_number(stored) or bool(pa.types.is_boolean(stored))


def has_text(stored: pa.DataType) -> bool:
    """Whether each value has one text: strings, and integers in decimal digits, of any size and sign."""
    whole = pa.types.is_decimal(stored) and stored.scale == 0
    return is_text(stored) or bool(pa.types.is_integer(stored) or whole)


def is_any_list(stored: pa.DataType) -> bool:
    """Whether the values are lists, in any layout."""
    return bool(pa.types.is_list(stored) or pa.types.is_large_list(stored) or pa.types.is_fixed_size_list(stored)
                or pa.types.is_list_view(stored) or pa.types.is_large_list_view(stored))


STORED_TYPES = {"int64": StoredType("integer", is_flag_or_number), "string": StoredType("string", has_text),
                "float32": StoredType("number", is_flag_or_number)}
"""By declared dtype."""
ID_TYPES = {"int64": StoredType("integer", is_number), "string": STORED_TYPES["string"]}
"""Of ids, by declared dtype."""


def list_type(dtype: str) -> StoredType:
    """Lists of values of a declared dtype."""
    values = STORED_TYPES[dtype]
    return StoredType(f"list of {values.description}", lambda stored: is_any_list(stored) and (
        pa.types.is_null(stored.value_type) or values.accepts(stored.value_type)))
