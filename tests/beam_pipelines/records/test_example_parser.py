"""The vectorized tf.Example parser against bytes that protobuf wrote."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.records.example_parser import MalformedExampleError, parse_examples
from beam_pipelines.records.record_buffer import RecordBuffer

VALUES = {
    "int64": st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 300), max_size=4),
    "float32": st.lists(st.floats(width=32, allow_nan=False), max_size=4),
    "string": st.lists(st.binary(max_size=200), max_size=3),
}
ROWS = st.lists(st.dictionaries(st.text(max_size=12), st.sampled_from(sorted(VALUES)).flatmap(
    lambda kind: st.tuples(st.just(kind), VALUES[kind])), max_size=4), min_size=1, max_size=6)


def _records(contents: list[bytes]) -> RecordBuffer:
    offsets = np.cumsum([0, *map(len, contents)])
    return RecordBuffer(np.frombuffer(b"".join(contents), np.uint8), offsets)


def _example(row: dict) -> bytes:
    example = tf.train.Example()
    for name, (kind, values) in row.items():
        feature = example.features.feature[name]
        field = {"int64": feature.int64_list, "float32": feature.float_list, "string": feature.bytes_list}[kind]
        field.SetInParent()  # an empty list has a dtype too
        field.value.extend(values)
    return example.SerializeToString()


def _rows(records: RecordBuffer) -> list[dict]:
    """Parsed columns turned back into rows."""
    rows: list[dict] = [{} for _ in range(len(records))]
    for name, parts in parse_examples(records).items():
        for part in parts:
            values = part.values.tobytes() if part.dtype == "string" else part.values.tolist()
            sizes = part.sizes if part.dtype == "string" else part.lengths
            for place, record in enumerate(part.records):
                start = int(sizes[:place].sum())
                rows[record][name] = (part.dtype, int(part.lengths[place]), values[start:start + sizes[place]])
    return rows


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_columns_equal_what_protobuf_wrote(rows):
    """Any columns in any order, any number of values."""
    expected = [{name: (kind, len(values), b"".join(values) if kind == "string" else values)
                 for name, (kind, values) in row.items()} for row in rows]
    assert _rows(_records([_example(row) for row in rows])) == expected


@settings(max_examples=100, deadline=None)
@given(ROWS, st.data())
def test_damaged_bytes_raise_nothing_but_malformed_example_error(rows, data):
    content = bytearray(b"".join(contents := [_example(row) for row in rows]))
    if content:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    records = RecordBuffer(np.frombuffer(bytes(content), np.uint8), np.cumsum([0, *map(len, contents)]))
    with contextlib.suppress(MalformedExampleError):
        parse_examples(records)


@pytest.mark.parametrize(("content", "message"), [
    (b"\x12\x00", "expected field 1"),
    (b"\x0a\x05\x0a", "ends in the wrong place"),
    (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more than ten bytes"),
    (_example({"a": ("int64", [300])})[:-1] + b"\x80", "within a number"),
])
def test_malformed_examples_are_refused(content, message):
    with pytest.raises(MalformedExampleError, match=message):
        parse_examples(_records([_example({"a": ("int64", [1])}), content]))


def test_a_feature_of_an_unknown_kind_is_refused():
    content = _example({"a": ("int64", [1])}).replace(b"\x1a\x03\x0a\x01\x01", b"\x22\x03\x0a\x01\x01")
    with pytest.raises(MalformedExampleError, match="unknown field 4"):
        parse_examples(_records([content]))


def test_an_integer_of_eleven_bytes_is_refused():
    content = _example({"a": ("string", [b"\xff" * 10 + b"\x01"])})
    # The tag of a bytes list becomes that of an int64 list: the same bytes are then one packed integer.
    content = content.replace(b"\x0a\x0d\x0a\x0b\xff", b"\x1a\x0d\x0a\x0b\xff")
    with pytest.raises(MalformedExampleError, match="more than ten bytes"):
        parse_examples(_records([content]))


def test_floats_that_end_within_a_number_are_refused():
    content = _example({"a": ("string", [b"abc"])}).replace(b"\x0a\x05\x0a\x03abc", b"\x12\x05\x0a\x03abc")
    with pytest.raises(MalformedExampleError, match=r"list of floats .* within a number"):
        parse_examples(_records([content]))


def test_names_of_equal_length_are_told_apart():
    rows = [{"ab": ("int64", [1])}, {"ba": ("int64", [2])}, {"ab": ("int64", [3])}]
    columns = parse_examples(_records([_example(row) for row in rows]))
    assert {name: [(part.records.tolist(), part.values.tolist()) for part in parts]
            for name, parts in columns.items()} == {"ab": [([0, 2], [1, 3])], "ba": [([1], [2])]}
