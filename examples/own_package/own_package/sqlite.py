"""A source of your own: a table of an SQLite database, read in parts of consecutive rows."""

import contextlib
import sqlite3

import pyarrow as pa
from pydantic import BaseModel, Field

from beam_pipelines.sources import PartSource

ARROW_TYPES = {"INTEGER": pa.int64(), "REAL": pa.float64(), "TEXT": pa.string()}


class SqliteSource(PartSource):
    """``path`` names the database file; workers need access to it."""

    class Settings(BaseModel):
        """What the configuration may set."""

        table: str = Field(pattern=r"^\w+$")
        rows_per_part: int = Field(100_000, ge=1)

    def __init__(self, path, table, rows_per_part):
        self.path, self.table, self.rows_per_part = path, table, rows_per_part

    def __str__(self):
        """Name for messages."""
        return f"{self.path}:{self.table}"

    def column_types(self):
        """Yield the columns with their Arrow types, so that a wrong one is reported before anything runs."""
        yield str(self), {name: ARROW_TYPES[declared] for _, name, declared, *_ in
                          self.query(f"PRAGMA table_info({self.table})")}

    def parts(self):
        """Return the first row id of each part."""
        [(last,)] = self.query(f"SELECT MAX(rowid) FROM {self.table}")
        return range(1, (last or 0) + 1, self.rows_per_part)

    def read_part(self, part, columns, batch_rows):
        """Yield the rows of a part, at most ``batch_rows`` in a batch."""
        types = dict(next(self.column_types())[1])
        names = ", ".join(f'"{name}"' for name in columns)
        end = part + self.rows_per_part
        for start in range(part, end, batch_rows):
            rows = self.query(f"SELECT {names} FROM {self.table} WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
                              start, min(start + batch_rows, end))
            values = zip(*rows, strict=True) if rows else [()] * len(columns)
            yield pa.RecordBatch.from_arrays([pa.array(column, types[name]) for name, column in
                                              zip(columns, values, strict=True)], names=columns)

    def query(self, text, *values):
        """Return all rows of a query."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as database:
            return database.execute(text, values).fetchall()
