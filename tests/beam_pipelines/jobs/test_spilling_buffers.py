"""Buffers with limited memory against Beam's own: the same elements and groups in the same order."""

import random

import pytest
from apache_beam import coders
from apache_beam.coders.coder_impl import create_OutputStream
from apache_beam.runners.portability.fn_api_runner.execution import GroupingBuffer, ListBuffer
from apache_beam.transforms import core
from apache_beam.transforms.window import FixedWindows, GlobalWindows

from beam_pipelines.jobs.spill_store import SpillStore
from beam_pipelines.jobs.spilling_buffers import SpillingGroupingBuffer, SpillingListBuffer, spilling

KEY_VALUE = coders.TupleCoder((coders.StrUtf8Coder(), coders.BytesCoder()))
GROUP = coders.TupleCoder((coders.StrUtf8Coder(), coders.IterableCoder(coders.BytesCoder())))
WINDOW = GlobalWindows().get_window_coder()
DATA = coders.WindowedValueCoder(KEY_VALUE, WINDOW)


@pytest.fixture
def store(tmp_path):
    return SpillStore(str(tmp_path), 200)


def _encoded(*elements) -> bytes:
    stream = create_OutputStream()
    for element in elements:
        DATA.get_impl().encode_to_stream(GlobalWindows.windowed_value(element), stream, True)
    return stream.get()


def _chunks(seed: int) -> list[bytes]:
    """Random elements of nine keys, whose values have up to 99 bytes."""
    draw = random.Random(seed)
    return [_encoded(*((f"key {draw.randrange(9)}", draw.randbytes(draw.randrange(100)))
                       for _ in range(draw.randrange(1, 9)))) for _ in range(30)]


def _filled(buffer, chunks):
    for chunk in chunks:
        buffer.append(chunk)
    return buffer


def _beam_groups(windowing=None) -> GroupingBuffer:
    return GroupingBuffer(DATA, coders.WindowedValueCoder(GROUP, WINDOW),
                          windowing or core.Windowing(GlobalWindows()))


@pytest.mark.parametrize("parts", [1, 2, 20])
def test_groups_have_the_same_bytes(store, parts):
    expected = _filled(_beam_groups(), _chunks(1)).partition(parts)
    buffer = _filled(spilling(_beam_groups(), store), _chunks(1))
    assert isinstance(buffer, SpillingGroupingBuffer)
    assert store.file_bytes > 5000
    for _ in range(2):  # by two consumers
        assert [b"".join(part) for part in buffer.partition(parts)] == [b"".join(part) for part in expected]


def test_groups_of_two_producers_have_the_same_bytes(store):
    expected = _filled(_beam_groups(), _chunks(1))
    expected.extend(_filled(_beam_groups(), _chunks(2)))
    buffer, other = (_filled(spilling(_beam_groups(), store), _chunks(seed)) for seed in (1, 2))
    buffer.extend(other)
    buffer.extend(SpillingListBuffer(None, store))  # of a step that continues; it is empty
    assert b"".join(buffer) == b"".join(expected)


def test_a_group_that_never_spilled_is_extended_after_its_own_values(tmp_path):
    first, second = (SpillStore(str(tmp_path), limit) for limit in (10**6, 10))
    buffer = _filled(spilling(_beam_groups(), first), [_encoded(("a", b"1"), ("b", b"2"))])
    buffer.extend(_filled(spilling(_beam_groups(), second), [_encoded(("b", b"3" * 20), ("c", b"4"))]))
    decoded = coders.WindowedValueCoder(GROUP, WINDOW).get_impl().decode_all(b"".join(buffer))
    assert [element.value for element in decoded] == [("a", [b"1"]), ("b", [b"2", b"3" * 20]), ("c", [b"4"])]


def test_groups_without_values_are_no_bytes(store):
    assert list(spilling(_beam_groups(), store)) == []


def test_groups_in_windows_remain_in_memory(store):
    buffer = _beam_groups(core.Windowing(FixedWindows(60)))
    assert spilling(buffer, store) is buffer


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_lists_have_the_same_chunks(store, parts):
    chunks = _chunks(3)
    buffer, expected = _filled(spilling(ListBuffer(DATA.get_impl()), store), chunks), _filled(ListBuffer(None), chunks)
    assert isinstance(buffer, SpillingListBuffer)
    assert list(buffer) == list(buffer) == chunks
    assert [list(part) for part in buffer.partition(parts)] == expected.partition(parts)
    assert store.chunk_bytes <= 200 < store.file_bytes


def test_a_copy_of_a_list_is_separate(store):
    buffer = _filled(spilling(ListBuffer(None), store), [b"a" * 150, b"b" * 150])
    copied = buffer.copy()
    copied.append(b"c" * 150)
    buffer.extend(_filled(spilling(ListBuffer(None), store), [b"d" * 150]))
    assert [chunk[:1] for chunk in copied] == [b"a", b"b", b"c"]
    assert [chunk[:1] for chunk in buffer] == [b"a", b"b", b"d"]


def test_a_cleared_list_can_be_filled_again(store):
    buffer = _filled(spilling(ListBuffer(None), store), [b"a"])
    buffer.clear()
    assert store.chunk_bytes == 0
    buffer.reset()
    assert list(_filled(buffer, [b"b"])) == [b"b"]


def test_memory_is_free_when_the_last_copy_is_gone(store):
    buffer = _filled(spilling(ListBuffer(None), store), [b"a" * 150])
    copied = buffer.copy()
    del buffer
    assert store.chunk_bytes == 150
    del copied
    assert store.chunk_bytes == 0
