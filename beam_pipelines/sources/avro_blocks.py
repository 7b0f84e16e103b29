"""Rows of an Avro container. Blocks are decompressed in steps, so that a small file cannot fill the memory."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import fastavro
import pyarrow as pa

from beam_pipelines.sources.limits import check_ratio

MAGIC, SYNC_BYTES = b"Obj\x01", 16
STEP_BYTES = 1 << 20  # of content, decompressed at once
GROUP_BYTES = 1 << 20  # of content, decoded at once


def read_rows(path: str, file: BinaryIO, max_ratio: float) -> Iterator[Any]:
    """Yields the rows of a container.

    Raises:
      UserError: see ``limits.check_ratio``, for one block.
    """
    reader = fastavro.reader(file)
    decompress = DECOMPRESSORS.get(reader.codec)
    if not decompress:
        # null; snappy and lz4, whose content is at most 22 and 255 times as large.
        yield from reader
        return
    file.seek(-SYNC_BYTES, io.SEEK_CUR)
    header = _uncompressed_header(reader.metadata["avro.schema"], file.read(SYNC_BYTES))
    group = io.BytesIO()
    for block in _uncompressed_blocks(path, file, decompress, max_ratio):
        group.write(block if group.tell() else header + block)
        if group.tell() >= GROUP_BYTES:
            group.seek(0)
            yield from fastavro.reader(group)
            group = io.BytesIO()
    if group.tell():
        group.seek(0)
        yield from fastavro.reader(group)


def _uncompressed_header(schema: str, sync: bytes) -> bytes:
    return MAGIC + _encode({"type": "map", "values": "bytes"}, {
        "avro.schema": schema.encode(), "avro.codec": b"null"}) + sync


def _uncompressed_blocks(path: str, file: BinaryIO, decompress: Callable[[bytes], Iterator[bytes]], max_ratio: float
                         ) -> Iterator[bytes]:
    while True:
        try:
            num_rows = fastavro.schemaless_reader(file, "long", None)
        except EOFError:
            return
        compressed: Any = fastavro.schemaless_reader(file, "bytes", None)
        content = io.BytesIO()
        for step in decompress(compressed):
            content.write(step)
            check_ratio(path, content.tell(), len(compressed), max_ratio)
        yield _encode("long", num_rows) + _encode("bytes", content.getvalue()) + file.read(SYNC_BYTES)


def _encode(schema: Any, value: Any) -> bytes:
    encoded = io.BytesIO()
    fastavro.schemaless_writer(encoded, schema, value)
    return encoded.getvalue()


def _inflate(compressed: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while compressed and not inflater.eof:
        yield inflater.decompress(compressed, STEP_BYTES)
        compressed = inflater.unconsumed_tail
    yield inflater.flush()


def _read_steps(stream: Any) -> Iterator[bytes]:
    while step := stream.read(STEP_BYTES):
        yield step


DECOMPRESSORS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "deflate": _inflate,
    "bzip2": lambda compressed: _read_steps(bz2.BZ2File(io.BytesIO(compressed))),
    "xz": lambda compressed: _read_steps(lzma.LZMAFile(io.BytesIO(compressed))),  # noqa: SIM115
    "zstandard": lambda compressed: _read_steps(pa.CompressedInputStream(pa.BufferReader(compressed), "zstd")),
}
"""By codec of a container."""
