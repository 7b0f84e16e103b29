"""TFRecord files of messages, read without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.messages import PredictionLog

_LENGTH, _CHECKSUM = 8, 4


def read_prediction_logs(path: Path) -> Iterator[PredictionLog]:
    """The ``PredictionLog``s of a file, in order.

    Raises:
      UserError: the file is cut off, or a checksum does not fit.
    """
    data, at = path.read_bytes(), 0
    while at < len(data):
        start = at + _LENGTH + _CHECKSUM
        end = start + int.from_bytes(data[at:at + _LENGTH], "little")
        record, checksum = data[start:end], data[end:end + _CHECKSUM]
        if end + _CHECKSUM > len(data) or _masked(record) != int.from_bytes(checksum, "little"):
            raise UserError(f"{str(path)!r} is damaged at byte {at}: export the model again")
        yield PredictionLog.FromString(record)
        at = end + _CHECKSUM


def _masked(record: bytes) -> int:
    """TFRecord's checksum, rotated so that checksums of checksums stay useful."""
    crc = google_crc32c.value(record)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
