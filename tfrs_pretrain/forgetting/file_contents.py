"""The uncompressed contents of files of any format, for the search of bytes."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

GZIP, ZIP, PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"


def contents(path: Path) -> Iterator[tuple[str, bytes | memoryview]]:
    """Yields place and bytes: of the file itself, and of what is compressed in it.

    Gzip files and the members of ZIP files (``.npz``, ``.keras``) are decompressed; the pages of a Parquet file are
    decoded to its columns. A damaged file is searched as it is.
    """
    data = path.read_bytes()
    yield "", data
    try:
        if data.startswith(GZIP):
            yield "uncompressed", gzip.decompress(data)
        elif data.startswith(ZIP):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"member {name!r}", archive.read(name)
        elif data.startswith(PARQUET):
            for batch in pq.ParquetFile(path).iter_batches():
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    for values in _values(column):
                        yield f"column {name!r}", values
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException):
        return


def _values(column: pa.Array) -> Iterator[bytes | memoryview]:
    """Yields the values of a column: numbers as they are in memory, texts with separators between them."""
    if pa.types.is_dictionary(column.type):
        yield from _values(column.dictionary)
    elif pa.types.is_list(column.type):
        yield from _values(column.flatten())
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        yield b"\0".join(value.encode() for value in column.to_pylist() if value is not None)
    else:
        yield from (memoryview(buffer) for buffer in column.buffers() if buffer is not None)
