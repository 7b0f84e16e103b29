"""Fields of nested records under dotted names, such as ``user.id``. A column of that very name comes first."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def nested_types(fields: Iterable[pa.Field], prefix: str = "") -> dict[str, pa.DataType]:
    """Returns the types of columns, and of the fields of structs by dotted name."""
    types = {f"{prefix}{field.name}": field.type for field in fields}
    for name, dtype in list(types.items()):
        if pa.types.is_struct(dtype):
            types = nested_types(dtype, f"{name}.") | types
    return types


def select_columns(batch: pa.RecordBatch, names: list[str]) -> pa.RecordBatch:
    """Selects columns and fields of structs; a field of a null struct is null."""
    return pa.RecordBatch.from_arrays([_select(batch, name) for name in names], names)


def _select(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name in batch.schema.names:
        return batch[name]
    # The longest name of a column that the dotted name begins with.
    column = max((column for column in batch.schema.names if name.startswith(f"{column}.")), key=len)
    return _field(batch[column], name.removeprefix(f"{column}."))


def _field(structs: pa.Array, name: str) -> pa.Array:
    if structs.type.get_field_index(name) >= 0:
        return pc.struct_field(structs, [name])
    first = max((field.name for field in structs.type if name.startswith(f"{field.name}.")), key=len)
    return _field(pc.struct_field(structs, [first]), name.removeprefix(f"{first}."))


def find_value(values: Mapping[str, Any], name: str, default: Any) -> Any:
    """Returns a value of a row, or of a record in it by dotted name; the default if the row does not have it."""
    if name in values:
        return values[name]
    for end in reversed([place for place, character in enumerate(name) if character == "."]):
        if name[:end] in values:
            inner = values[name[:end]]
            return None if inner is None else find_value(inner, name[end + 1:], default) if isinstance(
                inner, Mapping) else default
    return default
