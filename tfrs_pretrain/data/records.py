"""TFRecord files record by record, with the position of each, to report where a file is corrupt."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf

from tfrs_pretrain.data.dataset import compression_type
from tfrs_pretrain.errors import UserError

# TensorFlow's errors about data that is corrupt, of another format, or no longer there.
READING_ERRORS = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError)

_FRAME_BYTES = 16  # added by TFRecord: uint64 length, and CRC-32C checksums of the length and of the data


@dataclasses.dataclass(frozen=True)
class RecordPosition:
    """Position of a record.

    Attributes:
      path: the file.
      number: index of the record, from 0.
      offset: bytes before the record in the uncompressed content.
    """

    path: str
    number: int
    offset: int

    def __str__(self) -> str:
        content = " of its uncompressed content" if compression_type(self.path) else ""
        return f"record {self.number}, which starts at byte {self.offset}{content}"


class CorruptRecordError(Exception):
    """A record cannot be read.

    Attributes:
      position: position of the record.
      reason: reason of TensorFlow, in a few words.
    """

    def __init__(self, position: RecordPosition, reason: str):
        super().__init__(f"{position}: {reason}")
        self.position, self.reason = position, reason


def parse_threads() -> int:
    """Number of threads that parse records: half of the cores, since two cannot supply a GPU."""
    return max(2, (os.cpu_count() or 2) // 2)


def without_autotune(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Disables TensorFlow's autotuning of a dataset whose buffers all have fixed sizes.

    A tuner that is running when the data ends blocks the reader for seconds.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def check_files_exist(what: str, files: Iterable[str]) -> None:
    """Checks that no file has disappeared since the dataset was opened.

    Raises:
      UserError: names the first missing file; the message begins with ``what``.
    """
    for path in files:
        if not Path(path).is_file():
            raise UserError(f"{what} {path!r} is missing, but was there when the dataset was opened: restore the file "
                            "or rebuild the dataset, then run the same command again")


def positioned_records(path: str, *, limit: int = -1) -> Iterator[tuple[RecordPosition, bytes]]:
    """Reads records of a file, each with its position.

    Args:
      path: the file.
      limit: number of records to read (-1: all).

    Raises:
      CorruptRecordError: the file is missing, or a record cannot be read.
    """
    position = RecordPosition(path, 0, 0)
    records = tf.data.TFRecordDataset(path, compression_type=compression_type(path)).take(limit)
    try:
        for data in records.as_numpy_iterator():
            yield position, data
            position = RecordPosition(path, position.number + 1, position.offset + _FRAME_BYTES + len(data))
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        reason = error.message.rpartition("}} ")[2].partition(" [Op:")[0]
        raise CorruptRecordError(position, reason) from error
