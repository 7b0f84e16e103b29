"""Buffers of byte strings, and copies of many spans at a time, against Python loops."""

import numpy as np
import pytest

from beam_pipelines.records.record_buffer import RecordBuffer, gather, scatter


def _contents(records: RecordBuffer) -> list[bytes]:
    return [records.data[start:end].tobytes() for start, end in zip(records.offsets, records.offsets[1:], strict=False)]


def test_lengths_and_number_of_records_follow_from_the_offsets():
    records = RecordBuffer(np.frombuffer(b"abcdef", np.uint8), np.array([0, 1, 1, 6]))
    assert len(records) == 3
    assert records.lengths.tolist() == [1, 0, 5]


def test_allocated_records_have_the_requested_lengths():
    records = RecordBuffer.allocate(np.array([2, 0, 3]))
    assert records.offsets.tolist() == [0, 2, 2, 5]
    assert records.offsets.dtype == np.int64
    assert (records.data.dtype, records.data.shape) == (np.uint8, (5,))
    assert len(RecordBuffer.allocate(np.array([], np.int64))) == 0


@pytest.mark.parametrize(("start", "end", "expected"), [
    (0, 3, [b"a", b"", b"bcdef"]), (1, 3, [b"", b"bcdef"]), (2, 2, []), (0, 1, [b"a"])])
def test_a_slice_contains_the_same_records_with_offsets_from_zero(start, end, expected):
    records = RecordBuffer(np.frombuffer(b"abcdef", np.uint8), np.array([0, 1, 1, 6])).slice(start, end)
    assert records.offsets[0] == 0
    assert _contents(records) == expected


@pytest.mark.parametrize("width", [0, 1, 3])
def test_gather_and_scatter_copy_whole_rows(width):
    source = np.arange(20, dtype=np.uint8)
    starts = np.array([0, 20 - width, 5, 5])
    rows = gather(source, starts, width)
    assert rows.tolist() == [source[start:start + width].tolist() for start in starts]
    target = np.full(20, 99, np.uint8)
    scatter(target, starts, rows)
    expected = np.full(20, 99, np.uint8)
    for start in starts:
        expected[start:start + width] = source[start:start + width]
    assert target.tolist() == expected.tolist()


def test_nothing_is_gathered_from_an_empty_buffer():
    empty = np.empty(0, np.uint8)
    assert gather(empty, np.empty(0, np.int64), 4).shape == (0, 4)
    scatter(empty, np.empty(0, np.int64), np.empty((0, 4), np.uint8))
