"""Delta Lake tables, through deltalake (extra ``delta``)."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.sources.snapshot_source import DataFile, Snapshot, SnapshotSource, exact_value, top_level
from tfrs_pretrain.config import Condition

OPERATORS = {">=": pc.greater_equal, "<=": pc.less_equal, ">": pc.greater, "<": pc.less, "==": pc.equal,
             "!=": pc.not_equal}


class DeltaSource(SnapshotSource):
    """A snapshot is a version of the table; a part is a file of it."""

    name = "Delta Lake"

    def open(self, number: int | None) -> Any:
        from deltalake import DeltaTable  # noqa: PLC0415 - an optional library

        return DeltaTable(self._place, version=number)

    def describe(self, opened: Any) -> Snapshot:
        actions = pa.table(opened.get_add_actions(flatten=True))
        written = opened.history(1)[0].get("timestamp", 0) / 1000 if not actions.num_rows else max(
            actions["modification_time"].cast(pa.int64()).to_pylist()) / 1000
        return Snapshot(opened.version(), written, sum(actions["size_bytes"].to_pylist()),
                        sum(actions["num_records"].to_pylist()))

    def schema(self, opened: Any) -> pa.Schema:
        return opened.to_pyarrow_dataset().schema

    def files(self, opened: Any, where: Condition | None) -> Iterator[DataFile]:
        dataset = opened.to_pyarrow_dataset()
        for fragment in dataset.get_fragments(_expression(where, dataset.schema)):
            yield DataFile(fragment.path, fragment.path)

    def batches(self, opened: Any, file: DataFile, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        dataset = opened.to_pyarrow_dataset()
        [fragment] = (each for each in dataset.get_fragments() if each.path == file.task)
        yield from fragment.to_batches(schema=dataset.schema, columns=top_level(columns, dataset.schema),
                                       batch_size=batch_rows)


def _expression(where: Condition | None, schema: pa.Schema) -> pc.Expression | None:
    """The condition on statistics of files; None if its value is not exact in the column's type."""
    if where is None or where.column not in schema.names:
        return None
    value = exact_value(where, str(schema.field(where.column).type))
    return None if value is None else OPERATORS[where.operator](pc.field(where.column), pc.scalar(value))
