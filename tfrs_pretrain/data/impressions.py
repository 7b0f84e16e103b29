"""Impressions as batches: TFRecord -> many records at once -> one parse -> shuffle by gather -> batches.

One parse of many records reads several times faster than a parse of each, and permuting parsed columns with a
gather is far cheaper than a shuffle buffer of single examples.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping

import tensorflow as tf
from google.protobuf.message import DecodeError

from tfrs_pretrain.data.dataset import Dataset, compression, record_columns
from tfrs_pretrain.data.records import DamagedRecordError, placed_records, without_autotune
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.schema import ITEM_ID, KEY, REQUEST, USER_ID

SHUFFLE_WINDOW = 2**18
INTERLEAVED_FILES = 16
PARSED_TOGETHER = 4096
FIELDS = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}

Batch = dict[str, tf.Tensor]


def training_batches(dataset: Dataset, *, batch_size: int, seed: int, epoch: int, start: int = 0,
                     identifying: Iterable[str] = (), window: int = SHUFFLE_WINDOW) -> tf.data.Dataset:
    """Shuffled training impressions: per column a tensor [batch_size], the incomplete last batch dropped.

    Columns of several rows are [batch_size, length], padded at the end with -1, see ``RecordColumn``.

    The order depends on seed and epoch alone: files in random order, read in turns, then a random permutation of each
    ``window`` of impressions, which bounds the memory. Of the key and the raw ids, only ``identifying`` ones are read.
    The first ``start`` batches are left out: of those a whole window back, records are read but not parsed.
    """
    hidden = (KEY, USER_ID, ITEM_ID, REQUEST)
    names = [name for name in _columns(dataset) if name not in hidden or name in identifying]
    shuffle_seed = [seed, epoch]
    windows_done, impressions_done = divmod(start * batch_size, window)
    files = tf.random.experimental.stateless_shuffle(dataset.files("impressions/train"), shuffle_seed)
    records = tf.data.Dataset.from_tensor_slices(files).interleave(
        functools.partial(tf.data.TFRecordDataset, compression_type=_compression(dataset, "impressions/train")),
        cycle_length=INTERLEAVED_FILES, block_length=1024)

    def permuted(index: tf.Tensor, columns: Batch) -> Batch:
        impressions = tf.shape(next(iter(columns.values())))[0]
        order = tf.random.experimental.stateless_shuffle(
            tf.range(impressions), tf.stack([seed, epoch * 2**20 + tf.cast(index, tf.int32)]))
        order = order[tf.where(index == windows_done, impressions_done, 0):]
        return {name: tf.gather(values, order) for name, values in columns.items()}

    # Parsed in parts that stay in the cache: in one part, a window takes three times as long.
    parts = records.skip(windows_done * window).batch(PARSED_TOGETHER).map(
        lambda serialized: _parsed(serialized, dataset, names), num_parallel_calls=2, deterministic=True)
    windows = parts.rebatch(window).enumerate(start=windows_done).map(permuted, num_parallel_calls=1)
    # One window ahead: the next is parsed while batches of this one train.
    return without_autotune(windows.prefetch(1).rebatch(batch_size, drop_remainder=True).prefetch(8))


def evaluation_batches(dataset: Dataset, split: str, *, batch_size: int,
                       columns: Iterable[str] | None = None) -> tf.data.Dataset:
    """All impressions of a split in the order of its files: tensors as in training, the last batch shorter.

    ``columns`` limits what is parsed (None: every column).
    """
    records = tf.data.TFRecordDataset(dataset.files(split), compression_type=_compression(dataset, split))
    names = list(columns or _columns(dataset))
    return without_autotune(records.batch(batch_size).map(lambda serialized: _parsed(serialized, dataset, names),
                                                 num_parallel_calls=2, deterministic=True).prefetch(4))


def _compression(dataset: Dataset, split: str) -> str:
    files = dataset.files(split)
    return compression(files[0]) if files else ""


def _columns(dataset: Dataset) -> list[str]:
    return list(record_columns(dataset.schema))


def _parsed(serialized: tf.Tensor, dataset: Dataset, names: Iterable[str]) -> Batch:
    """Columns of serialized records [n]: [n], or [n, length] padded at the end."""
    columns = record_columns(dataset.schema)
    parsed = tf.io.parse_example(serialized, {name: columns[name].parsing_spec() for name in names})
    return {name: columns[name].dense_tensor(values) for name, values in parsed.items()}


@contextlib.contextmanager
def reading(dataset: Dataset, *splits: str) -> Iterator[None]:
    """Checks the first record of each file of the splits, and names the file at fault if reading fails in the body.

    Raises:
      UserError: a file is corrupt, or a record lacks a column or has it in another type than the schema says.
    """
    files = [path for split in splits for path in dataset.files(split)]
    expected = record_columns(dataset.schema)
    for path in files:
        check_records(path, expected, limit=1)
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
        for path in files:
            check_records(path, expected)
        raise


def check_records(path: str, columns: Mapping[str, RecordColumn], *, limit: int = -1) -> None:
    """Checks records of a TFRecord file against columns and what they hold.

    Args:
      path: the file.
      columns: expected columns by name, as from ``record_columns``.
      limit: first records to check (-1: all).

    Raises:
      UserError: names the file, the record, the column, what was expected and what was found.
    """
    try:
        for place, record in placed_records(path, limit=limit):
            problem = _problem(record, columns)
            if problem:
                raise UserError(f"impressions {path!r}, {place}: {problem}; build the dataset again with this schema")
    except DamagedRecordError as error:
        raise UserError(f"impressions {path!r} cannot be read at {error.place} ({error.reason}): copy the file again, "
                        "or rebuild the dataset") from error


def _problem(record: bytes, columns: Mapping[str, RecordColumn]) -> str | None:
    try:
        found = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return f"expected a tf.train.Example, found {len(record)} bytes of something else"
    for name, column in columns.items():
        kind = found[name].WhichOneof("kind") if name in found else None
        if kind is None:
            return f"expected column {name!r} ({column.dtype}), found none among {sorted(found)}"
        values = len(getattr(found[name], kind).value)
        if kind != FIELDS[column.dtype] or (values > column.length if column.length else values != 1):
            came = next(key for key, value in FIELDS.items() if value == kind)
            wanted = f"at most {column.length} values" if column.length else "1 value"
            return f"expected column {name!r} to hold {wanted} of {column.dtype}, found {values} of {came}"
    return None
