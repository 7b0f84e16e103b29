"""SHA-256 of one block in the graph. TensorFlow has no operation for a cryptographic hash (FIPS 180-4)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

MESSAGE_BYTES = 48  # with the padding one block of 64 bytes


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root_bits(numbers: list[int], degree: int) -> np.ndarray:
    """uint32 [n]: the first 32 bits of the fractional parts of roots, by exact integer arithmetic."""
    return np.array([_integer_root(number << (32 * degree), degree) & 0xFFFFFFFF for number in numbers], np.uint32)


def _integer_root(value: int, degree: int) -> int:
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low


START = _root_bits(_primes(8), 2)
ROUNDS = _root_bits(_primes(64), 3)


def sha256(message: tf.Tensor) -> tf.Tensor:
    """Returns uint32 [8], the words of the SHA-256 of a message.

    Args:
      message: string [] of ``MESSAGE_BYTES`` bytes.
    """
    data = tf.ensure_shape(tf.io.decode_raw(message, tf.uint8), [MESSAGE_BYTES])
    length = np.array([8 * MESSAGE_BYTES], ">u8").tobytes()
    padding = b"\x80" + bytes(64 - MESSAGE_BYTES - 1 - 8) + length
    block = tf.cast(tf.reshape(tf.concat([data, tf.constant(list(padding), tf.uint8)], 0), [16, 4]), tf.uint32)
    high, low = _or(_left(block[:, 0], 24), _left(block[:, 1], 16)), _or(_left(block[:, 2], 8), block[:, 3])
    # A loop: 64 rounds one after the other in the graph take seconds to trace.
    _, state, _ = tf.while_loop(lambda number, state, words: number < len(ROUNDS), _round,
                                (0, tf.constant(START), _or(high, low)), parallel_iterations=1)
    return state + tf.constant(START)


def _round(number: tf.Tensor, state: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One round. ``words`` are the words of this round and of the next 15."""
    a, b, c, _, e, f, g, h = tf.unstack(state)
    chosen = _xor(_and(e, f), _and(tf.bitwise.invert(e), g))
    first = h + _large(e, 6, 11, 25) + chosen + tf.gather(tf.constant(ROUNDS), number) + words[0]
    majority = _xor(_xor(_and(a, b), _and(a, c)), _and(b, c))
    later = tf.stack([first + _large(a, 2, 13, 22) + majority, a, b, c, state[3] + first, e, f, g])
    word = words[0] + _small(words[1], 7, 18, 3) + words[9] + _small(words[14], 17, 19, 10)
    return number + 1, later, tf.concat([words[1:], word[None]], 0)


def _large(value: tf.Tensor, *turns: int) -> tf.Tensor:
    one, two, three = (_rotated(value, turn) for turn in turns)
    return _xor(_xor(one, two), three)


def _small(value: tf.Tensor, one: int, two: int, shift: int) -> tf.Tensor:
    return _xor(_xor(_rotated(value, one), _rotated(value, two)), _right(value, shift))


def _rotated(value: tf.Tensor, turn: int) -> tf.Tensor:
    return _or(_right(value, turn), _left(value, 32 - turn))


def _right(value: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(value, tf.constant(bits, tf.uint32))


def _left(value: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.left_shift(value, tf.constant(bits, tf.uint32))


def _and(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_and(one, other)


def _or(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_or(one, other)


def _xor(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(one, other)
