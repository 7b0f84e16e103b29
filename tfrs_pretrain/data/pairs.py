"""Reading (query, candidate) pairs: columnar blocks in, batches out, without ever handling a single pair."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.data.dataset import compression, pair_columns
from tfrs_pretrain.data.records import DamagedRecordError, Place, placed_records, without_autotune
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import Schema

SHUFFLE_WINDOW = 1 << 20  # pairs: 8 MB, twice while the next window is prepared

ROWS: Mapping[str, str] = {"query": "int32", "candidate": "int32"}


def training_columns(schema: Schema) -> dict[str, str]:
    """Column -> dtype of what a training step reads: the rows and, where the schema has a relation, the weight."""
    return {name: dtype for name, dtype in pair_columns(schema).items() if name != "relation"}


def shuffled_batches(files: list[str], batch_size: int, *, seed: int, epoch: int, columns: Mapping[str, str] = ROWS,
                     start: int = 0, window: int = SHUFFLE_WINDOW) -> tf.data.Dataset:
    """All pairs of an epoch in an order that depends on (seed, epoch) only.

    Files come in random order and pairs are permuted within windows, so that memory stays bounded. Pairs that do not
    fill the last batch are left out.

    Args:
      files: TFRecord files of columnar blocks.
      batch_size: pairs in a batch.
      seed: of the run.
      epoch: another epoch, another order.
      columns: column -> dtype of what to read, see ``pair_columns``.
      start: batches to leave out at the beginning; they are read, but neither permuted nor batched.
      window: pairs permuted together.

    Returns:
      {"query": int32 [batch_size], "candidate": int32 [batch_size]}, rows of the tables, and so each column.
    """
    windows_done, pairs_done = divmod(start * batch_size, window)
    order = np.random.default_rng([seed, epoch]).permutation(len(files))

    def permute(index: tf.Tensor, pairs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        positions = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(pairs["query"])[0]),
                                                             seed=tf.stack([seed, (epoch << 32) + index]))
        positions = positions[tf.where(index == windows_done, pairs_done, 0):]
        return {name: tf.gather(rows, positions) for name, rows in pairs.items()}

    blocks = pair_blocks([files[position] for position in order], columns)
    windows = blocks.rebatch(window).enumerate().skip(windows_done).map(permute).prefetch(1)
    return windows.rebatch(batch_size, drop_remainder=True).prefetch(8)


def pair_blocks(files: list[str], columns: Mapping[str, str] = ROWS) -> tf.data.Dataset:
    """Blocks as they were written: {column: [n] of its dtype}."""
    records = tf.data.TFRecordDataset(files, compression_type=compression(files[0]) if files else None)
    decoded = records.map(lambda record: _decode(record, columns), num_parallel_calls=2, deterministic=True)
    return without_autotune(decoded)


def _decode(record: tf.Tensor, columns: Mapping[str, str]) -> dict[str, tf.Tensor]:
    block = tf.io.parse_single_example(record, {name: tf.io.FixedLenFeature([], tf.string) for name in columns})
    pairs = {name: tf.io.decode_raw(block[name], dtype) for name, dtype in columns.items()}
    for name, values in pairs.items():
        tf.debugging.assert_equal(tf.size(values), tf.size(pairs["query"]), f"query and {name} differ in length")
    return pairs


@contextlib.contextmanager
def naming_corrupt_files(files: list[str], columns: Mapping[str, str] = ROWS) -> Iterator[None]:
    """Turns TensorFlow's complaint about unreadable data into one that names the file and the record.

    Raises:
      UserError: the body failed on data, and one of the files cannot be read.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        for path in files:
            bad = _first_bad_record(path, columns)
            if bad is not None:
                raise UserError(f"pairs {path!r} cannot be read at {bad}: the file is damaged; copy the dataset again, "
                                "or rebuild it") from error
        raise


def _first_bad_record(path: str, columns: Mapping[str, str]) -> Place | None:
    """Place of the first record that is not a block of pairs, if any."""
    try:
        for place, data in placed_records(path):
            try:
                _decode(tf.constant(data), columns)
            except tf.errors.InvalidArgumentError:
                return place
    except DamagedRecordError as error:
        return error.place
    return None
