"""Checks of the rows of a raw batch, as masks: a bad row is rejected without an exception for its batch."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.stored_values import convert
from beam_pipelines.logs.weights import check_weights

Check = tuple[str, np.ndarray]  # reason, bool [n] rows to reject


def convert_columns(batch: pa.RecordBatch, log: LogSpec) -> tuple[pa.RecordBatch, list[Check]]:
    """Converts columns that are stored as texts or other types to their declared types.

    Returns:
      The columns of the log, null where a value cannot be converted; and a check for each converted column.
    """
    columns, unparsable = {}, []
    for name, value_type in log.value_types.items():
        columns[name] = batch[name]
        if converted := convert(batch[name], value_type):
            columns[name], mask = converted
            unparsable.append((unparsable_reason(name, log), mask))
    return pa.RecordBatch.from_pydict(columns), unparsable


def unparsable_reason(column: str, log: LogSpec) -> str:
    """Returns the reason to reject a row whose text in a column cannot be parsed."""
    roles = {space.column: f"{name} id" for name, space in log.schema.id_spaces.items()}
    roles |= {log.schema.window: "window", log.schema.time: "time"}
    return f"unparsable {roles.get(column, column)}"


def check_rows(batch: pa.RecordBatch, log: LogSpec) -> Iterator[Check]:
    """Yields the checks of a batch; a row is rejected for the first reason that applies."""
    schema = log.schema
    for name, space in schema.id_spaces.items():
        yield f"missing {name} id", _is_missing(batch[space.column])
        if space.dtype == "int64":
            yield f"negative {name} id", to_mask(pc.less(batch[space.column], 0))
        else:
            yield f"oversized {name} id", exceeds(batch[space.column], log.max_id_bytes)
    yield "missing time", to_mask(pc.is_null(batch[schema.time]))
    if log.windows:
        yield "missing window", to_mask(pc.is_null(batch[schema.window]))
    if log.request:
        yield "missing request", _is_missing(batch[log.request])
    for name, column in log.labels.items():
        label = batch[column].cast(pa.float64())
        if name in log.optional_labels:
            label = pc.if_else(pc.is_nan(label), pa.scalar(None, pa.float64()), label)
        else:
            yield f"missing {name}", to_mask(pc.is_null(label))
        yield f"{name} outside 0 and 1", to_mask(pc.invert(pc.or_(pc.equal(label, 0), pc.equal(label, 1))))
    yield from check_weights(batch, log)
    for feature in log.context_features:
        if feature.value_type.startswith("string"):
            yield f"oversized {feature.source_column}", exceeds(batch[feature.source_column], log.max_id_bytes)
    if log.relations:
        relation = relation_names(batch, log)
        yield "missing relation", to_mask(pc.is_null(relation))
        yield "unknown relation", to_mask(pc.invert(pc.is_in(relation, pa.array(list(log.relations)))))


def relation_names(batch: pa.RecordBatch, log: LogSpec) -> pa.Array:
    """Returns string [n]: the relation column of a log that has relations."""
    assert log.schema.relation is not None
    return batch[log.schema.relation].cast(pa.string())


def to_mask(values: pa.Array) -> np.ndarray:
    """Converts an Arrow boolean array [n] to bool [n]; null becomes False."""
    mask: np.ndarray = values.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def exceeds(column: pa.Array, max_bytes: int) -> np.ndarray:
    """Returns bool [n]: texts, or lists with a text, of more than ``max_bytes`` bytes."""
    if pa.types.is_dictionary(column.type):
        # Repeated texts are not copied.
        return to_mask(pa.array(exceeds(column.dictionary, max_bytes)).take(column.indices))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        mask = np.zeros(len(column), bool)
        parents = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        mask[parents[exceeds(pc.list_flatten(column), max_bytes)]] = True
        return mask
    return to_mask(pc.greater(pc.binary_length(column), max_bytes))


def _is_missing(column: pa.Array) -> np.ndarray:
    missing = pc.is_null(column)
    if not pa.types.is_integer(column.type):
        missing = pc.or_(missing, pc.equal(pc.binary_length(column.cast(pa.string())), 0).fill_null(True))
    return to_mask(missing)
