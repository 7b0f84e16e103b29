"""Sources of a user's own for tests: a right one, and one for each mistake."""

import sqlite3

import apache_beam as beam
import pyarrow as pa

from beam_pipelines.sources import PartSource, RawBatch, TableSource

TYPES = {"member": pa.int64(), "item": pa.string(), "ts": pa.timestamp("us"), "day": pa.int64()}


class Right(PartSource):
    """Two parts of two engagements each."""

    def __init__(self, table, path):
        self.table, self.path = table, path

    def __str__(self):
        return f"rows of {self.table} at {self.path}"

    def column_types(self):
        yield str(self), TYPES

    def parts(self):
        return ["a", "b"]

    def read_part(self, part, columns, batch_rows):
        values = {"member": [1, 2], "item": [f"{part} 1", f"{part} 2"], "ts": [0, 1], "day": [0, 1]}
        yield pa.RecordBatch.from_arrays([pa.array(values[name], TYPES[name]) for name in columns], names=columns)


class Columns(Right):
    def column_types(self):
        yield {"member": "int64"}


class NoColumns(Right):
    def column_types(self):
        raise ConnectionError("no route\nto host")


class OtherType(Right):
    def column_types(self):
        yield str(self), TYPES | {"member": pa.string()}


class Connected(Right):
    def __init__(self, table, path):
        super().__init__(table, path)
        self.connection = sqlite3.connect(":memory:")


class LocalParts(Right):
    def parts(self):
        return [lambda: 1]


class NoParts(Right):
    def parts(self):
        raise PermissionError("denied")


class Rows(Right):
    def read_part(self, part, columns, batch_rows):
        yield [{"member": 1}]


class Fewer(Right):
    def read_part(self, part, columns, batch_rows):
        yield from super().read_part(part, columns[1:], batch_rows)


class RaisesLater(Right):
    """Its second part cannot be read, which only the pipeline notices."""

    def read_part(self, part, columns, batch_rows):
        if part == "b":
            raise TimeoutError("timed out")
        yield from super().read_part(part, columns, batch_rows)


class Transform(TableSource):
    """Reads by a transform of its own; its batches lack a column."""

    def __str__(self):
        return "transform"

    def column_types(self):
        yield str(self), None

    def read(self, columns, batch_rows):
        return beam.Create([0]) | beam.Map(lambda _: {"member": 1})

    def read_all(self, columns):
        yield RawBatch("transform", [0, 1], pa.RecordBatch.from_pydict({name: [1] for name in columns}))
