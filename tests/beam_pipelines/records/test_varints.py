"""Varints against protobuf's own encoder and decoder."""

import io

import numpy as np
import pytest
from google.protobuf.internal.decoder import _DecodeVarint
from google.protobuf.internal.encoder import _EncodeVarint
from hypothesis import given
from hypothesis import strategies as st

from beam_pipelines.records.varints import decode_varints, encode_varints

EDGES = [0, 1, *(2**(7 * n) - step for n in range(1, 10) for step in (1, 0)), 2**63 - 1, 2**63, 2**64 - 1]
UINT64 = st.integers(0, 2**64 - 1) | st.sampled_from(EDGES)


def _protobuf(value: int) -> bytes:
    buffer = io.BytesIO()
    _EncodeVarint(buffer.write, value)
    return buffer.getvalue()


@given(st.lists(UINT64, max_size=20))
def test_encoded_bytes_equal_protobuf(values):
    encoded = [b""] * len(values)
    for group in encode_varints(np.array(values, np.uint64)):
        for index, content in zip(group.indices, group.content, strict=True):
            encoded[index] = content.tobytes()
    assert encoded == [_protobuf(value) for value in values]


@pytest.mark.parametrize("value", EDGES)
def test_lengths_change_at_powers_of_128(value):
    [group] = encode_varints(np.array([value], np.uint64))
    assert group.content.shape == (1, max(1, -(-value.bit_length() // 7)))


@given(st.lists(UINT64, max_size=20), st.binary(max_size=3))
def test_decoded_values_equal_protobuf_and_wrap_to_int64(values, before):
    encoded = [_protobuf(value) for value in values]
    data = before + b"".join(encoded)
    sizes = np.array([len(part) for part in encoded], np.int64)
    decoded = decode_varints(np.frombuffer(data, np.uint8), len(before) + np.cumsum(sizes) - sizes, sizes)
    assert decoded.dtype == np.int64
    expected, position = [], len(before)
    for _ in values:
        value, position = _DecodeVarint(data, position)
        expected.append(value if value < 2**63 else value - 2**64)
    assert decoded.tolist() == expected
