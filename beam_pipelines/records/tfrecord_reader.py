"""Reads TFRecord files and verifies their checksums, without TensorFlow."""

from collections.abc import Iterator

import google_crc32c
import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.tfrecord_writer import FOOTER, HEADER, mask_crc

CHUNK_BYTES = 1 << 25


class DamagedFileError(ValueError):
    """A TFRecord file is truncated, or a checksum does not match."""


def read_tfrecord(path: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBuffer]:
    """Yields the records in order, about ``chunk_bytes`` at a time; ``.gz`` files are decompressed.

    Raises:
      DamagedFileError: names the byte where the damaged record starts.
    """
    position, rest = 0, b""
    with FileSystems.open(path, compression_type=CompressionTypes.AUTO) as file:
        while block := file.read(chunk_bytes):
            data = rest + block
            starts, lengths, end = _frames(data, position)
            if starts:
                yield _records(data, starts, lengths, position)
            position, rest = position + end, data[end:]
    if rest:
        raise DamagedFileError(f"the file ends within a record that begins at byte {position}")


def _frames(data: bytes, position: int) -> tuple[list[int], list[int], int]:
    """Returns the start and length of each complete record's content, and the end of the last complete record."""
    starts, lengths, at = [], [], 0
    total, from_bytes = len(data), int.from_bytes
    length_of_header: dict[bytes, int] = {}
    while at + HEADER <= total:
        header = data[at:at + HEADER]
        length = length_of_header.get(header)
        if length is None:
            length = length_of_header[header] = from_bytes(header[:8], "little")
            if _masked_crc(header[:8]) != from_bytes(header[8:], "little"):
                raise DamagedFileError(f"the length of the record at byte {position + at} does not match its checksum")
        after = at + HEADER + length + FOOTER
        if after > total:
            break
        starts.append(at + HEADER)
        lengths.append(length)
        at = after
    return starts, lengths, at


def _records(data: bytes, starts: list[int], lengths: list[int], position: int) -> RecordBuffer:
    contents = [data[start:start + length] for start, length in zip(starts, lengths, strict=True)]
    checksums = mask_crc(np.array([google_crc32c.value(content) for content in contents], np.uint32))
    footers = np.add(starts, lengths)
    array = np.frombuffer(data, np.uint8)
    expected = array[footers[:, None] + np.arange(FOOTER)].view("<u4")[:, 0]
    wrong = np.flatnonzero(checksums != expected)
    if len(wrong):
        start = position + starts[wrong[0]] - HEADER
        raise DamagedFileError(f"the content of the record at byte {start} does not match its checksum")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return RecordBuffer(np.frombuffer(b"".join(contents), np.uint8), offsets)


def _masked_crc(content: bytes) -> int:
    return int(mask_crc(np.array([google_crc32c.value(content)]))[0])
