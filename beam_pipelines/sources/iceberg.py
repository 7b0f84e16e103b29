"""Apache Iceberg tables, through pyiceberg (extra ``iceberg``)."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from beam_pipelines.sources.snapshot_source import DataFile, Snapshot, SnapshotSource, exact_value
from tfrs_pretrain.config import Condition


class IcebergSource(SnapshotSource):
    """A part is a data file with its deletes. ``source.catalog`` has pyiceberg's properties of the catalog.

    ``name`` among them is the name of a catalog in pyiceberg's own configuration, "default" by default.
    """

    name = "Iceberg"

    def open(self, number: int | None) -> Any:
        """Returns a scan of the whole snapshot; None as its id is resolved."""
        from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - an optional library

        properties = dict(self._source.catalog)
        table = load_catalog(properties.pop("name", "default"), **properties).load_table(self._place)
        snapshot = table.current_snapshot() if number is None else table.snapshot_by_id(number)
        if snapshot is None:
            raise ValueError("it has no snapshot" if number is None else f"it has no snapshot {number}")
        return table.scan(snapshot_id=snapshot.snapshot_id)

    def describe(self, opened: Any) -> Snapshot:
        snapshot = opened.snapshot()
        summary = snapshot.summary
        return Snapshot(snapshot.snapshot_id, snapshot.timestamp_ms / 1000,
                        int(summary["total-files-size"] or 0), int(summary["total-records"] or 0))

    def schema(self, opened: Any) -> pa.Schema:
        from pyiceberg.io.pyarrow import schema_to_pyarrow  # noqa: PLC0415 - an optional library

        return schema_to_pyarrow(opened.projection(), include_field_ids=False)

    def files(self, opened: Any, where: Condition | None) -> Iterator[DataFile]:
        condition = _expression(where, opened)
        for task in (opened if condition is None else opened.filter(condition)).plan_files():
            yield DataFile(task.file.file_path, task)

    def batches(self, opened: Any, file: DataFile, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        from pyiceberg.io.pyarrow import ArrowScan  # noqa: PLC0415 - an optional library

        scan = opened.select(*columns)
        task = file.task
        unfiltered = type(task)(data_file=task.file, delete_files=task.delete_files)  # only files are left out
        reader = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter)
        for batch in reader.to_record_batches([unfiltered]):
            for start in range(0, batch.num_rows, batch_rows):
                yield batch.slice(start, batch_rows)


def _expression(where: Condition | None, opened: Any) -> Any:
    """The condition on statistics of files; None if its value is not exact in the column's type."""
    from pyiceberg import expressions  # noqa: PLC0415 - an optional library

    types = {field.name: str(field.field_type) for field in opened.projection().fields}
    if where is None or (value := exact_value(where, types.get(where.column, ""))) is None:
        return None
    kinds = {">=": "GreaterThanOrEqual", "<=": "LessThanOrEqual", ">": "GreaterThan", "<": "LessThan", "==": "EqualTo",
             "!=": "NotEqualTo"}
    return getattr(expressions, kinds[where.operator])(where.column, value)
