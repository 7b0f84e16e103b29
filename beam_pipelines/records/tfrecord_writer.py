"""TFRecord files: ``length (uint64), masked CRC of length, data, masked CRC of data``, little-endian.

Format: tensorflow/core/lib/io/record_writer.h; the checksum is CRC-32C, rotated right by 15 bits plus a constant.
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

from beam_pipelines.records.example_encoder import RecordBuffer, gather, scatter
from beam_pipelines.records.files import atomic_write

HEADER, FOOTER = 12, 4


@dataclasses.dataclass(frozen=True)
class FileSummary:
    """What lies on disk; ``crc32c`` is of the whole file, in hexadecimal."""

    bytes: int
    records: int
    crc32c: str


class _Summed(io.RawIOBase):
    """Passes bytes on, counts them and sums them up."""

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
    """Writes chunks of records one after another, under a temporary name until the file is whole.

    Compressed with gzip where ``path`` ends in .gz; equal records give equal bytes (of one version of zlib).
    """
    records = 0
    with atomic_write(path) as whole:
        summed = _Summed(whole)
        with _compressed(summed) if path.endswith(".gz") else contextlib.nullcontext(summed) as file:
            for chunk in chunks:
                file.write(frame(chunk))
                records += len(chunk)
    return FileSummary(summed.size, records, f"{summed.checksum:08x}")


def _compressed(file: io.RawIOBase) -> gzip.GzipFile:
    # Neither the time nor a temporary name may show in the bytes. Level 6 is gzip's own choice.
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)


def frame(records: RecordBuffer) -> bytes:
    """The bytes of records in a TFRecord file."""
    lengths = records.lengths
    starts = np.cumsum(lengths + HEADER + FOOTER) - (lengths + HEADER + FOOTER)
    target = np.empty(int((lengths + HEADER + FOOTER).sum()), np.uint8)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        header = np.frombuffer(_header(int(length)), np.uint8)
        scatter(target, starts[rows], np.broadcast_to(header, (len(rows), HEADER)))
        scatter(target, starts[rows] + HEADER, gather(records.data, records.offsets[rows], int(length)))
    footers = mask(_checksums(records)).astype("<u4").view(np.uint8).reshape(-1, FOOTER)
    scatter(target, starts + HEADER + lengths, footers)
    return target.tobytes()


def mask(checksums: np.ndarray) -> np.ndarray:
    """TFRecord's masking of CRC-32C values, uint32 [n]."""
    checksums = checksums.astype(np.uint32)
    return ((checksums >> np.uint32(15)) | (checksums << np.uint32(17))) + np.uint32(0xA282EAD8)


def _header(length: int) -> bytes:
    encoded = length.to_bytes(8, "little")
    return encoded + mask(np.array([google_crc32c.value(encoded)])).astype("<u4").tobytes()


def _checksums(records: RecordBuffer) -> np.ndarray:
    data, offsets = records.data.tobytes(), records.offsets.tolist()
    value = google_crc32c.value
    return np.array([value(data[start:end]) for start, end in itertools.pairwise(offsets)], np.uint32)
