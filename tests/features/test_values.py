"""Columns of single values in Arrow batches."""

import numpy as np
import pyarrow as pa

from tfrs_pretrain.features.values import compact_dictionary, hash_dictionary, nulls_to_nan
from tfrs_pretrain.hashing import hash_ids


def test_null_becomes_nan():
    found = nulls_to_nan(pa.array([1.5, None, -0.0], pa.float32()).slice(1))
    np.testing.assert_array_equal(found, np.array([np.nan, -0.0], np.float32))
    assert found.dtype == np.float32


def test_a_dictionary_hashes_as_its_values_and_null_as_zero():
    column = pa.DictionaryArray.from_arrays(pa.array([2, None, 0, 2]), pa.array(["日本", "unused", "b"]))
    expected = hash_ids(pa.array(["b", "b", "日本", "b"]))
    expected[1] = 0
    np.testing.assert_array_equal(hash_dictionary(column), expected)
    assert hash_dictionary(column.slice(0, 0)).tolist() == []


def test_a_dictionary_longer_than_its_column_is_cut_to_the_values_in_use():
    long = pa.DictionaryArray.from_arrays(pa.array([3, None, 3]), pa.array([10, 11, 12, 13]))
    compact = compact_dictionary(long)
    assert (compact.to_pylist(), compact.dictionary.to_pylist()) == ([13, None, 13], [13])
    short = pa.DictionaryArray.from_arrays(pa.array([3, 0, 1, 1]), pa.array([10, 11, 12, 13]))
    assert compact_dictionary(short) is short
