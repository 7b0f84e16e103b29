"""Reader of TFRecord files of ``PredictionLog``s that does not need TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.messages import PredictionLog

# A record is: length (8 bytes, little-endian), checksum of the length, content, checksum of the content.
_LENGTH_BYTES, _CHECKSUM_BYTES = 8, 4


def read_prediction_logs(path: Path) -> Iterator[PredictionLog]:
    """Yields the ``PredictionLog``s of a file, in order.

    Raises:
      UserError: the file is truncated, or a checksum does not match.
    """
    data, start = path.read_bytes(), 0
    while start < len(data):
        content = start + _LENGTH_BYTES + _CHECKSUM_BYTES
        end = content + int.from_bytes(data[start:start + _LENGTH_BYTES], "little")
        record, checksum = data[content:end], data[end:end + _CHECKSUM_BYTES]
        if end + _CHECKSUM_BYTES > len(data) or _masked_crc(record) != int.from_bytes(checksum, "little"):
            raise UserError(f"{str(path)!r} is damaged at byte {start}: export the model again")
        yield PredictionLog.FromString(record)
        start = end + _CHECKSUM_BYTES


def _masked_crc(record: bytes) -> int:
    """TFRecord's checksum: CRC-32C, rotated by 15 bits and shifted by a constant."""
    crc = int(google_crc32c.value(record))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
