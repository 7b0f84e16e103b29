"""Writes TFRecord files: ``length (uint64), masked CRC of length, data, masked CRC of data``, little-endian.

Format: tensorflow/core/lib/io/record_writer.h. The checksum is CRC-32C, rotated right by 15 bits plus a constant.
"""

import contextlib
import dataclasses
import gzip
import io
import itertools
from collections.abc import Iterable
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

from beam_pipelines.records.files import atomic_write
from beam_pipelines.records.record_buffer import RecordBuffer, gather, scatter

HEADER, FOOTER = 12, 4  # bytes


@dataclasses.dataclass(frozen=True)
class FileSummary:
    """Size and checksum of a TFRecord file.

    Attributes:
      bytes: size on disk, compressed if the file is.
      records: number of records.
      crc32c: CRC-32C of the whole file, in hexadecimal.
    """

    bytes: int
    records: int
    crc32c: str


class _ChecksumWriter(io.RawIOBase):
    """Forwards bytes to a file; counts them and computes their CRC-32C."""

    def __init__(self, file: BinaryIO):
        super().__init__()
        self._file, self.size, self.checksum = file, 0, 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        content = bytes(content)
        self._file.write(content)
        self.size, self.checksum = self.size + len(content), google_crc32c.extend(self.checksum, content)
        return len(content)


def write_tfrecord(path: str, chunks: Iterable[RecordBuffer]) -> FileSummary:
    """Writes chunks of records under a temporary name and renames the file when it is complete.

    The file is compressed with gzip if ``path`` ends in .gz. Equal records give equal bytes (with one version of zlib).
    """
    num_records = 0
    with atomic_write(path) as target:
        summed = _ChecksumWriter(target)
        with _gzip(summed) if path.endswith(".gz") else contextlib.nullcontext(summed) as file:
            for chunk in chunks:
                file.write(frame_records(chunk))
                num_records += len(chunk)
    return FileSummary(summed.size, num_records, f"{summed.checksum:08x}")


def _gzip(file: io.RawIOBase) -> gzip.GzipFile:
    # The bytes must not depend on the time or the temporary name. Level 6 is gzip's own default.
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)


def frame_records(records: RecordBuffer) -> bytes:
    """Encodes records as the bytes of a TFRecord file."""
    lengths = records.lengths
    framed = lengths + HEADER + FOOTER
    starts = np.cumsum(framed) - framed
    target = np.empty(int(framed.sum()), np.uint8)
    for length in np.unique(lengths):
        indices = np.flatnonzero(lengths == length)
        header = np.frombuffer(_header(int(length)), np.uint8)
        scatter(target, starts[indices], np.broadcast_to(header, (len(indices), HEADER)))
        scatter(target, starts[indices] + HEADER, gather(records.data, records.offsets[indices], int(length)))
    footers = mask_crc(_checksums(records)).astype("<u4").view(np.uint8).reshape(-1, FOOTER)
    scatter(target, starts + HEADER + lengths, footers)
    return target.tobytes()


def mask_crc(checksums: np.ndarray) -> np.ndarray:
    """Masks uint32 [n] CRC-32C values as TFRecord does; returns uint32 [n]."""
    checksums = checksums.astype(np.uint32)
    return ((checksums >> np.uint32(15)) | (checksums << np.uint32(17))) + np.uint32(0xA282EAD8)


def _header(length: int) -> bytes:
    encoded = length.to_bytes(8, "little")
    return encoded + mask_crc(np.array([google_crc32c.value(encoded)])).astype("<u4").tobytes()


def _checksums(records: RecordBuffer) -> np.ndarray:
    data, offsets = records.data.tobytes(), records.offsets.tolist()
    value = google_crc32c.value
    return np.array([value(data[start:end]) for start, end in itertools.pairwise(offsets)], np.uint32)
