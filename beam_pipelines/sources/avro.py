"""Avro object container files."""

import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException

from beam_pipelines.records.files import open_file
from beam_pipelines.sources.avro_blocks import read_rows
from beam_pipelines.sources.base import ColumnTypes, RawBatch
from beam_pipelines.sources.text import TextFormat, row_of_values, to_batches


class Avro(TextFormat):
    """Values are converted to text and parsed again, as in the other row formats."""

    name = "Avro"
    # The exception that fastavro raises for a damaged block depends on the damaged byte.
    errors: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, LookupError, TypeError, ArithmeticError,
                                           MemoryError, RecursionError, struct.error, zlib.error, lzma.LZMAError,
                                           SchemaParseException)

    def column_types(self, path: str) -> ColumnTypes:
        with open_file(path) as file:
            schema = fastavro.reader(file).writer_schema
        if not isinstance(schema, dict) or schema.get("type") != "record":
            raise ValueError("its schema is not a record")
        return dict.fromkeys(_names(schema))

    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        with open_file(path) as file:
            rows = (row_of_values(number, row, columns) for number, row in enumerate(
                read_rows(path, file, self.limits.max_decompression_ratio)) if isinstance(row, dict))
            yield from to_batches(path, columns, rows, batch_rows)


def _names(schema: Any, prefix: str = "") -> Iterator[str]:
    """Yields the names of the fields of a record, and of the records in it by dotted name."""
    for branch in schema if isinstance(schema, list) else [schema]:
        for field in branch.get("fields", ()) if isinstance(branch, dict) else ():
            yield f"{prefix}{field['name']}"
            yield from _names(field["type"], f"{prefix}{field['name']}.")
