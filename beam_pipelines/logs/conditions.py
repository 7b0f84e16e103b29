"""Conditions on the columns of a batch: rows to read, and labels."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.log_spec import LogSpec
from tfrs_pretrain.config import Condition

OPERATORS: dict[str, Callable[[Any, Any], pa.Array]] = {
    ">=": pc.greater_equal, "<=": pc.less_equal, ">": pc.greater, "<": pc.less, "==": pc.equal, "!=": pc.not_equal}


def evaluate(condition: Condition, batch: pa.RecordBatch) -> pa.Array:
    """Evaluates a condition for the n rows of a batch.

    Returns:
      bool [n]; null where the value is missing or not a number.
    """
    column = batch[condition.column]
    if condition.is_numeric:
        numbers = column.cast(pa.float64())
        column = pc.if_else(pc.is_nan(numbers).fill_null(False), pa.scalar(None, pa.float64()), numbers)
    else:
        column = column.cast(pa.string())
    return OPERATORS[condition.operator](column, pa.scalar(condition.value))


def add_computed_labels(batch: pa.RecordBatch, log: LogSpec) -> pa.RecordBatch:
    """Adds the labels that conditions compute; null where the condition's column is null."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return pa.RecordBatch.from_pydict(columns | {
        name: evaluate(condition, batch) for name, condition in log.computed_labels.items()})
