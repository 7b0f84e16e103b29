"""One value type for each column of a table, from everything that reads the column."""

from collections.abc import Iterable
from typing import NamedTuple

from tfrs_pretrain.features.base import Feature


class ColumnReader(NamedTuple):
    """A declaration that reads a column.

    Attributes:
      column: name in the table.
      reader: the declaration, for messages.
      value_type: type to parse texts as, see ``text_values.parse``.
    """

    column: str
    reader: str
    value_type: str


def feature_readers(features: Iterable[Feature]) -> list[ColumnReader]:
    """Returns the reader of each feature."""
    return [ColumnReader(feature.source_column, f"feature {feature.name!r}", feature.value_type)
            for feature in features]


def value_types(readers: Iterable[ColumnReader]) -> dict[str, str]:
    """Returns column -> value type. Where readers conflict, see ``conflict``, the last one decides."""
    by_column = _group(readers)
    return {column: _common_type(found) or found[-1].value_type for column, found in by_column.items()}


def conflict(column: str, readers: Iterable[ColumnReader]) -> str | None:
    """Describes the readers of a column of texts that no single parse can serve; None if there are none.

    A text such as "05" is one value as a string and another one as a number, so it is parsed only once.
    """
    found = _group(readers).get(column, [])
    if not found or _common_type(found):
        return None
    return ", ".join(f"{reader.reader} reads it as {reader.value_type}" for reader in found)


def _group(readers: Iterable[ColumnReader]) -> dict[str, list[ColumnReader]]:
    by_column: dict[str, list[ColumnReader]] = {}
    for reader in readers:
        by_column.setdefault(reader.column, []).append(reader)
    return by_column


def _common_type(readers: list[ColumnReader]) -> str | None:
    """Returns the value type whose parse serves all readers; None if there is none."""
    types = {reader.value_type for reader in readers}
    if len(types) == 1:
        return readers[0].value_type
    # Every integer is a number, and a label is a number that may also be spelt true or false.
    if types <= {"int64", "float32", "label"}:
        return "label" if "label" in types else "int64"
    return None
