"""Batches of (query, candidate) pairs from columnar blocks; no step handles single pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.data.dataset import compression_type, pair_columns
from tfrs_pretrain.data.records import (
    READING_ERRORS,
    CorruptRecordError,
    RecordPosition,
    check_files_exist,
    parse_threads,
    positioned_records,
    without_autotune,
)
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import Schema

SHUFFLE_WINDOW = 1 << 20  # pairs: 8 MB, and as much again while the next window is prepared

ROW_COLUMNS: Mapping[str, str] = {"query": "int32", "candidate": "int32"}


def training_columns(schema: Schema) -> dict[str, str]:
    """Column -> dtype of the columns that training reads: rows and, if the schema has a relation, weights."""
    return {name: dtype for name, dtype in pair_columns(schema).items() if name != "relation"}


def shuffled_batches(files: list[str], batch_size: int, *, seed: int, epoch: int,
                     columns: Mapping[str, str] = ROW_COLUMNS, start: int = 0,
                     window: int = SHUFFLE_WINDOW) -> tf.data.Dataset:
    """Reads all pairs of an epoch in an order that depends on ``seed`` and ``epoch`` only.

    Files are read in random order and pairs are permuted within windows, which bounds the memory. Pairs that do not
    fill the last batch are dropped.

    Args:
      files: TFRecord files of columnar blocks.
      batch_size: pairs in a batch.
      seed: seed of the run.
      epoch: number of the epoch.
      columns: column -> dtype of the columns to read, see ``pair_columns``.
      start: number of batches to skip; they are read, but neither permuted nor batched.
      window: number of pairs permuted together.

    Returns:
      {"query": int32 [batch_size], "candidate": int32 [batch_size]}, rows of the tables, and any further columns.
    """
    windows_done, pairs_done = divmod(start * batch_size, window)
    order = np.random.default_rng([seed, epoch]).permutation(len(files))

    @tf.autograph.experimental.do_not_convert
    def permute(index: tf.Tensor, pairs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        positions = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(pairs["query"])[0]),
                                                             seed=tf.stack([seed, (epoch << 32) + index]))
        positions = positions[tf.where(index == windows_done, pairs_done, 0):]
        return {name: tf.gather(rows, positions) for name, rows in pairs.items()}

    blocks = pair_blocks([files[position] for position in order], columns)
    windows = blocks.rebatch(window).enumerate().skip(windows_done).map(permute).prefetch(1)
    return windows.rebatch(batch_size, drop_remainder=True).prefetch(8)


def pair_blocks(files: list[str], columns: Mapping[str, str] = ROW_COLUMNS) -> tf.data.Dataset:
    """Reads blocks in the order of the files: {column: [n] of its dtype}."""
    records = tf.data.TFRecordDataset(files, compression_type=compression_type(files[0]) if files else None)
    decode = tf.autograph.experimental.do_not_convert(lambda record: _decode(record, columns))
    decoded = records.map(decode, num_parallel_calls=parse_threads(), deterministic=True)
    return without_autotune(decoded)


def _decode(record: tf.Tensor, columns: Mapping[str, str]) -> dict[str, tf.Tensor]:
    block = tf.io.parse_single_example(record, {name: tf.io.FixedLenFeature([], tf.string) for name in columns})
    pairs = {name: tf.io.decode_raw(block[name], dtype) for name, dtype in columns.items()}
    for name, values in pairs.items():
        tf.debugging.assert_equal(tf.size(values), tf.size(pairs["query"]), f"query and {name} differ in length")
    return pairs


@contextlib.contextmanager
def report_corrupt_files(files: list[str], columns: Mapping[str, str] = ROW_COLUMNS) -> Iterator[None]:
    """Replaces TensorFlow's error about unreadable data by one that names the file and the record.

    Raises:
      UserError: the body failed on data, and one of the files is corrupt or missing.
    """
    try:
        yield
    except READING_ERRORS as error:
        check_files_exist("pairs", files)
        for path in files:
            position = _first_corrupt_record(path, columns)
            if position is not None:
                raise UserError(f"pairs {path!r} cannot be read at {position}: the file is corrupt; copy the dataset "
                                "again, or rebuild it") from error
        raise


def _first_corrupt_record(path: str, columns: Mapping[str, str]) -> RecordPosition | None:
    """Position of the first record that is not a block of pairs, None if there is none."""
    try:
        for position, data in positioned_records(path):
            try:
                _decode(tf.constant(data), columns)
            except tf.errors.InvalidArgumentError:
                return position
    except CorruptRecordError as error:
        return error.position
    return None
