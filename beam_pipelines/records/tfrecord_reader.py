"""TFRecord files back to records, checksums included, without TensorFlow."""

from collections.abc import Iterator

import google_crc32c
import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.records.example_encoder import RecordBuffer
from beam_pipelines.records.tfrecord_writer import FOOTER, HEADER, mask

CHUNK_BYTES = 1 << 25


class DamagedFileError(ValueError):
    """A file that is cut off, or whose checksums do not fit its contents."""


def read_tfrecord(path: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBuffer]:
    """Records in order, about ``chunk_bytes`` at a time; ``.gz`` files are decompressed.

    Raises:
      DamagedFileError: names the byte at which reading had to stop.
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
    """Where the contents of whole records begin, their lengths, and where the last whole record ends."""
    starts, lengths, at = [], [], 0
    total, from_bytes = len(data), int.from_bytes
    known: dict[bytes, int] = {}
    while at + HEADER <= total:
        header = data[at:at + HEADER]
        length = known.get(header)
        if length is None:
            length = known[header] = from_bytes(header[:8], "little")
            if _masked(header[:8]) != from_bytes(header[8:], "little"):
                raise DamagedFileError(f"the length of the record at byte {position + at} does not fit its checksum")
        after = at + HEADER + length + FOOTER
        if after > total:
            break
        starts.append(at + HEADER)
        lengths.append(length)
        at = after
    return starts, lengths, at


def _records(data: bytes, starts: list[int], lengths: list[int], position: int) -> RecordBuffer:
    contents = [data[start:start + length] for start, length in zip(starts, lengths, strict=True)]
    checksums = mask(np.array([google_crc32c.value(content) for content in contents], np.uint32))
    footer = np.add(starts, lengths)
    array = np.frombuffer(data, np.uint8)
    expected = array[footer[:, None] + np.arange(FOOTER)].view("<u4")[:, 0]
    wrong = np.flatnonzero(checksums != expected)
    if len(wrong):
        raise DamagedFileError(f"the record at byte {position + starts[wrong[0]] - HEADER} does not fit its checksum")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return RecordBuffer(np.frombuffer(b"".join(contents), np.uint8), offsets)


def _masked(content: bytes) -> int:
    return int(mask(np.array([google_crc32c.value(content)]))[0])
