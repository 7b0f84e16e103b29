"""Hashes of every kind of input, and literals of an implementation on Python's unbounded integers."""

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain.hashing import combine, fraction, hash_ids, mix

# From a separate program: SplitMix64 of the polynomial of the UTF-8 bytes, see the module's docstring.
LITERALS = {-1: 16490336266968443936, 42: 13679457532755275413, "": 16294208416658607535,
            "milk": 11492452407515930539, "ítem-7": 4034074491746960241}


def test_hashes_are_the_literals():
    """A change of the hash would move every out-of-vocabulary row, shard and held-out pair."""
    for value, expected in LITERALS.items():
        assert hash_ids(pa.array([value])).tolist() == [expected]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32])
def test_integers_hash_alike_in_every_width(dtype):
    values = np.array([0, 1, 100], dtype)
    assert hash_ids(values).tolist() == hash_ids(np.array([0, 1, 100])).tolist()


def test_booleans_hash_as_0_and_1():
    expected = hash_ids(np.array([0, 1])).tolist()
    assert hash_ids(np.array([False, True])).tolist() == expected
    assert hash_ids(pa.array([0, 1], pa.int32())).tolist() == expected


@pytest.mark.parametrize("array", [
    np.array(["a", "ü", ""]), np.array(["a", "ü", ""], object), np.array(["a", "ü", ""], np.dtypes.StringDType()),
    pa.array(["a", "ü", ""]), pa.array(["a", "ü", ""], pa.large_string()), pa.chunked_array([["a"], ["ü", ""]])],
    ids=["numpy", "object", "StringDType", "Arrow", "large", "chunked"])
def test_strings_hash_alike_in_every_array(array):
    assert hash_ids(array).tolist() == [hash_ids(pa.array([value]))[0] for value in ("a", "ü", "")]


def test_chunked_integers_hash_as_one_array():
    assert hash_ids(pa.chunked_array([[1], [2, 3]])).tolist() == hash_ids(np.array([1, 2, 3])).tolist()


def test_empty_inputs_have_no_hashes():
    for empty in (np.array([], np.int64), pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        assert hash_ids(empty).tolist() == []
        assert hash_ids(empty).dtype == np.uint64


def test_only_empty_strings():
    assert hash_ids(pa.array(["", "", None])).tolist() == [LITERALS[""]] * 3


def test_a_slice_hashes_without_what_is_around_it():
    whole = pa.array(["ab", "c", "", "def", None, "g"])
    for start in range(6):
        for length in range(7 - start):
            assert hash_ids(whole.slice(start, length)).tolist() == hash_ids(whole)[start:start + length].tolist()


def test_salts_give_independent_hashes():
    ids = np.arange(1000)
    bits = np.unpackbits((hash_ids(ids) ^ hash_ids(ids, salt=1)).view(np.uint8))
    assert abs(bits.mean() - 0.5) < 0.01  # five standard deviations of 64,000 fair bits
    assert len({int(value) for salt in range(5) for value in hash_ids(ids, salt)}) == 5000


def test_every_input_bit_affects_every_output_bit():
    base = mix(np.arange(2000, dtype=np.uint64))
    for bit in range(64):
        changed = mix(np.arange(2000, dtype=np.uint64) ^ np.uint64(1 << bit))
        flips = np.unpackbits((base ^ changed).view(np.uint8).reshape(2000, 8), axis=1).mean(axis=0)
        assert 0.4 < flips.min() <= flips.max() < 0.6


@pytest.mark.parametrize("values", [np.array([1.5]), np.array(["2020"], "datetime64[D]"), pa.array([1.5])])
def test_other_types_are_refused(values):
    with pytest.raises(TypeError, match=r"ids to hash must be integers or strings, not (float64|datetime64)"):
        hash_ids(values)


def test_fractions_are_the_top_53_bits():
    hashes = np.array([0, 2**11 - 1, 2**11, 2**63, 2**64 - 1], np.uint64)
    assert fraction(hashes).tolist() == [0.0, 0.0, 2.0**-53, 0.5, 1 - 2.0**-53]


def test_combinations_are_hashes_of_pairs():
    first, second = np.array([3, 2**64 - 1], np.uint64), np.array([5, 7], np.uint64)
    expected = [mix(np.array([(one * 0x9E3779B97F4A7C15 + two) % 2**64], np.uint64))[0]
                for one, two in ((3, 5), (2**64 - 1, 7))]
    assert combine(first, second).tolist() == expected
