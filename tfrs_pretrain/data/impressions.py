"""Batches of impressions: TFRecord -> many records at once -> one parse -> shuffle by gather -> batches.

Parsing many records at once is several times faster than parsing each, and permuting parsed columns with a gather is
far cheaper than a shuffle buffer of single examples.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

import tensorflow as tf
from google.protobuf.message import DecodeError

from tfrs_pretrain.data.dataset import Dataset, compression_type, record_columns
from tfrs_pretrain.data.records import (
    READING_ERRORS,
    CorruptRecordError,
    check_files_exist,
    parse_threads,
    positioned_records,
    without_autotune,
)
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.schema import ITEM_ID, KEY, REQUEST, USER_ID

SHUFFLE_WINDOW = 2**18
INTERLEAVED_FILES = 16
IDENTIFYING = (KEY, USER_ID, ITEM_ID, REQUEST)
PARSE_BATCH_SIZE = 4096
FIELDS = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}

Batch = dict[str, tf.Tensor]


def training_batches(dataset: Dataset, *, batch_size: int, seed: int, epoch: int, start: int = 0,
                     identifying: Iterable[str] = (), window: int = SHUFFLE_WINDOW) -> tf.data.Dataset:
    """Reads the training impressions in an order that depends on ``seed`` and ``epoch`` only.

    Files are read in random order and in turns, then each ``window`` of impressions is permuted, which bounds the
    memory. The incomplete last batch is dropped.

    Args:
      dataset: the dataset.
      batch_size: impressions in a batch.
      seed: seed of the run.
      epoch: number of the epoch.
      start: number of batches to skip; records of skipped windows are read but not parsed.
      identifying: columns to read among the key, the raw ids and the request, which are otherwise left out.
      window: number of impressions permuted together.

    Returns:
      {column: [batch_size]}; columns of several rows are [batch_size, length], padded at the end with -1, see
      ``RecordColumn``.
    """
    names = [name for name in _columns(dataset) if name not in IDENTIFYING or name in identifying]
    shuffle_seed = [seed, epoch]
    windows_done, impressions_done = divmod(start * batch_size, window)
    files = tf.random.experimental.stateless_shuffle(dataset.files("impressions/train"), shuffle_seed)
    records = tf.data.Dataset.from_tensor_slices(files).interleave(
        functools.partial(tf.data.TFRecordDataset, compression_type=_compression(dataset, "impressions/train")),
        cycle_length=INTERLEAVED_FILES, block_length=1024)

    @tf.autograph.experimental.do_not_convert
    def permuted(index: tf.Tensor, columns: Batch) -> Batch:
        impressions = tf.shape(next(iter(columns.values())))[0]
        order = tf.random.experimental.stateless_shuffle(
            tf.range(impressions), tf.stack([seed, epoch * 2**20 + tf.cast(index, tf.int32)]))
        order = order[tf.where(index == windows_done, impressions_done, 0):]
        return {name: tf.gather(values, order) for name, values in columns.items()}

    # Parts fit into the cache: parsing a window in one part takes three times as long.
    parts = records.skip(windows_done * window).batch(PARSE_BATCH_SIZE).map(
        _parser(dataset, names), num_parallel_calls=parse_threads(), deterministic=True)
    windows = parts.rebatch(window).enumerate(start=windows_done).map(permuted, num_parallel_calls=1)
    # One window ahead: the next is parsed while the model trains on this one.
    return without_autotune(windows.prefetch(1).rebatch(batch_size, drop_remainder=True).prefetch(8))


def evaluation_batches(dataset: Dataset, split: str, *, batch_size: int,
                       columns: Iterable[str] | None = None) -> tf.data.Dataset:
    """Reads all impressions of a split in the order of its files.

    Args:
      dataset: the dataset.
      split: one of ``IMPRESSION_SPLITS``.
      batch_size: impressions in a batch; the last batch may be shorter.
      columns: columns to parse (None: all).

    Returns:
      tensors as in ``training_batches``.
    """
    records = tf.data.TFRecordDataset(dataset.files(split), compression_type=_compression(dataset, split))
    names = list(columns or _columns(dataset))
    return without_autotune(records.batch(batch_size).map(_parser(dataset, names), num_parallel_calls=parse_threads(),
                                                          deterministic=True).prefetch(4))


def _compression(dataset: Dataset, split: str) -> str:
    files = dataset.files(split)
    return compression_type(files[0]) if files else ""


def _columns(dataset: Dataset) -> list[str]:
    return list(record_columns(dataset.schema))


def _parser(dataset: Dataset, names: Iterable[str]) -> Callable[[tf.Tensor], Batch]:
    """Returns a function that parses serialized records [n] to columns [n], or [n, length] padded at the end."""
    columns = record_columns(dataset.schema)
    specs = {name: columns[name].parsing_spec() for name in names}

    def parse(serialized: tf.Tensor) -> Batch:
        parsed = tf.io.parse_example(serialized, specs)
        return {name: columns[name].dense_tensor(values) for name, values in parsed.items()}

    parser: Callable[[tf.Tensor], Batch] = tf.autograph.experimental.do_not_convert(parse)  # converting takes seconds
    return parser


@contextlib.contextmanager
def checked_reading(dataset: Dataset, *splits: str) -> Iterator[None]:
    """Checks the first record of each file of the splits, and names the bad file if reading fails in the body.

    Raises:
      UserError: a file is corrupt or missing, or a record lacks a column or has it in another type than the schema
        declares.
    """
    files = [path for split in splits for path in dataset.files(split)]
    expected = record_columns(dataset.schema)
    for path in files:
        check_records(path, expected, limit=1)
    try:
        yield
    except READING_ERRORS:
        check_files_exist("impressions", files)
        for path in files:
            check_records(path, expected)
        raise


def check_records(path: str, columns: Mapping[str, RecordColumn], *, limit: int = -1) -> None:
    """Checks that records of a TFRecord file have the expected columns.

    Args:
      path: the file.
      columns: expected columns by name, as from ``record_columns``.
      limit: number of records to check (-1: all).

    Raises:
      UserError: the file is corrupt, or a record does not have these columns.
    """
    try:
        for position, record in positioned_records(path, limit=limit):
            problem = _problem(record, columns)
            if problem:
                raise UserError(f"impressions {path!r}, {position}: {problem}; build the dataset again with "
                                "this schema")
    except CorruptRecordError as error:
        raise UserError(f"impressions {path!r} cannot be read at {error.position} ({error.reason}): copy the file "
                        "again, or rebuild the dataset") from error


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
            dtype = next(key for key, value in FIELDS.items() if value == kind)
            expected = f"at most {column.length} values" if column.length else "1 value"
            return f"expected column {name!r} to contain {expected} of {column.dtype}, found {values} of {dtype}"
    return None
