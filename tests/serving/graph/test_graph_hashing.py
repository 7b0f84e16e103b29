"""The served hash against the numpy hash that wrote the rows."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain import hashing
from tfrs_pretrain.serving.graph.hashing import hash_ids

INT64 = st.integers(-(2**63), 2**63 - 1)
LITERALS = ["", "\x00", "ítem-12", "日本語", "a" * 5000]
TEXT = st.one_of(st.text(), st.text(min_size=200, max_size=400), st.sampled_from(LITERALS))


@given(st.lists(INT64, max_size=40))
@settings(deadline=None, max_examples=200)
def test_integers_hash_as_in_numpy(ids):
    expected = hashing.hash_ids(np.array(ids, np.int64))
    np.testing.assert_array_equal(hash_ids(tf.constant(ids, tf.int64)).numpy(), expected)


@given(st.lists(TEXT, max_size=20))
@settings(deadline=None, max_examples=200)
def test_strings_hash_as_in_numpy(ids):
    expected = hashing.hash_ids(pa.array(ids, pa.string()))
    np.testing.assert_array_equal(hash_ids(tf.constant(ids, tf.string)).numpy(), expected)


@pytest.mark.parametrize(("value", "expected"), [(0, 0xE220A8397B1DCDAF), (-1, 0xE4D971771B652C20)])
def test_integer_hash_is_splitmix64(value, expected):
    """First outputs of the published generator: state 0, and state -1 (which adds the increment once)."""
    assert int(hash_ids(tf.constant([value], tf.int64)).numpy()[0]) == expected


def test_bytes_that_are_not_utf8_have_a_hash():
    hashes = hash_ids(tf.constant([b"\xff\xfe", b"\xff"])).numpy()
    assert len(set(hashes.tolist())) == 2
