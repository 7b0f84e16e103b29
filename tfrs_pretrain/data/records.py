"""TFRecord files record by record, with the place of each: what it takes to say where one is damaged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import tensorflow as tf

from tfrs_pretrain.data.dataset import compression

_FRAME_BYTES = 16  # of a TFRecord beside its data: uint64 length, and a CRC-32C of the length and of the data


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a record starts.

    Attributes:
      path: the file.
      number: of the record, from 0.
      offset: bytes before it, in the uncompressed content.
    """

    path: str
    number: int
    offset: int

    def __str__(self) -> str:
        content = " of its uncompressed content" if compression(self.path) else ""
        return f"record {self.number}, which starts at byte {self.offset}{content}"


class DamagedRecordError(Exception):
    """A record cannot be read.

    Attributes:
      place: of the record.
      reason: TensorFlow's, in a few words.
    """

    def __init__(self, place: Place, reason: str):
        super().__init__(f"{place}: {reason}")
        self.place, self.reason = place, reason


def without_autotune(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same without TensorFlow's tuner, which has nothing to choose where every buffer has its size.

    Where it is at work as the data ends, it holds up whoever reads for seconds.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def placed_records(path: str, *, limit: int = -1) -> Iterator[tuple[Place, bytes]]:
    """The first records of a file (-1: all), each with its place.

    Raises:
      DamagedRecordError: the file is missing, or cannot be read from some record on.
    """
    place = Place(path, 0, 0)
    records = tf.data.TFRecordDataset(path, compression_type=compression(path)).take(limit)
    try:
        for data in records.as_numpy_iterator():
            yield place, data
            place = Place(path, place.number + 1, place.offset + _FRAME_BYTES + len(data))
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        reason = error.message.rpartition("}} ")[2].partition(" [Op:")[0]
        raise DamagedRecordError(place, reason) from error
