"""``tfrs_pretrain.hashing`` in TensorFlow, with operations that every TensorFlow Serving binary has.

Products and sums wrap modulo 2^64 in int64 as in uint64; only the shifts of the finalizer must be unsigned.
"""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.hashing import GOLDEN, LAST_SHIFT, MIX, STRING_BASE


def hash_ids(ids: tf.Tensor) -> tf.Tensor:
    """Returns uint64 [n], bit-identical to ``tfrs_pretrain.hashing.hash_ids``.

    Strings are hashed by their bytes, so bytes that are not UTF-8 have a hash too.

    Args:
      ids: int64 or string [n].
    """
    if ids.dtype == tf.string:
        ids = _polynomial(ids)
    return _mix(tf.bitcast(ids, tf.uint64))


def _mix(values: tf.Tensor) -> tf.Tensor:
    """Applies the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) to uint64 [n]."""
    mixed = values + tf.constant(GOLDEN, tf.uint64)
    for shift, factor in MIX:
        mixed = _fold(mixed, shift) * tf.constant(factor, tf.uint64)
    return _fold(mixed, LAST_SHIFT)


def _fold(values: tf.Tensor, shift: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(values, tf.bitwise.right_shift(values, tf.constant(shift, tf.uint64)))


def _polynomial(strings: tf.Tensor) -> tf.Tensor:
    """Returns int64 [n], hashes of strings: length + sum over bytes b_i of (b_i + 1) * base^i, modulo 2^64."""
    lengths = tf.strings.length(strings)                                                # [n]
    data = tf.io.decode_raw(tf.strings.reduce_join(strings), tf.uint8)                  # [bytes]
    owner = tf.repeat(tf.range(tf.size(strings)), lengths)                              # [bytes]
    position = tf.range(tf.size(data)) - tf.gather(tf.cumsum(lengths, exclusive=True), owner)
    longest = tf.reduce_max(tf.concat([lengths, [0]], axis=0))
    powers = tf.math.cumprod(tf.fill([longest], tf.constant(STRING_BASE, tf.int64)), exclusive=True)
    terms = (tf.cast(data, tf.int64) + 1) * tf.gather(powers, position)
    return tf.cast(lengths, tf.int64) + tf.math.unsorted_segment_sum(terms, owner, tf.size(strings))
