"""The vectorised tf.Example encoder against protobuf's own bytes."""

import itertools

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_pipelines.records.example_encoder import encode_examples

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 300)
FLOAT32 = st.floats(width=32)
TEXT = st.text(max_size=5) | st.integers(0, 20000).map(lambda n: "é" * (n // 97) + "x" * (n % 97))
VALUES = {"list": st.lists(INT64, max_size=5), "int64": INT64, "float32": FLOAT32, "string": TEXT,
          "binary": st.binary(max_size=300)}
TYPES = {"list": pa.list_(pa.int64()), "int64": pa.int64(), "float32": pa.float32(), "string": pa.string(),
         "binary": pa.binary()}


def _protobuf(row: dict) -> bytes:
    """Serializes one row with the generated protobuf class."""
    example = tf.train.Example()
    for name, (kind, value) in row.items():
        feature = example.features.feature[name]
        if kind == "list":
            feature.int64_list.value.extend(value)
            # An empty list is present too.
            feature.int64_list.SetInParent()
        elif kind == "int64":
            feature.int64_list.value.append(value)
        elif kind == "float32":
            feature.float_list.value.append(value)
        else:
            feature.bytes_list.value.append(value.encode() if kind == "string" else value)
    return example.SerializeToString(deterministic=True)


@st.composite
def _tables(draw):
    kinds = draw(st.dictionaries(st.text(min_size=1, max_size=40), st.sampled_from(sorted(VALUES)), min_size=1,
                                 max_size=6))
    rows = draw(st.integers(1, 6))
    return {name: (kind, draw(st.lists(VALUES[kind], min_size=rows, max_size=rows))) for name, kind in kinds.items()}


def _encoded(columns: dict) -> list[bytes]:
    records = encode_examples(columns)
    return [records.data[start:end].tobytes() for start, end in itertools.pairwise(records.offsets)]


@settings(max_examples=200, deadline=None)
@given(_tables())
@example({name: ("int64", [1]) for name in ("user", "user_id", "item_id", "item", "u")})
def test_bytes_equal_protobuf(table):
    rows = len(next(iter(table.values()))[1])
    encoded = _encoded({name: pa.array(values, TYPES[kind]) for name, (kind, values) in table.items()})
    expected = [_protobuf({name: (kind, values[row]) for name, (kind, values) in table.items()}) for row in range(rows)]
    assert encoded == expected


def test_slices_and_long_values():
    """Columns that are slices of larger arrays, and a value whose length needs a varint of three bytes."""
    names = pa.array(["before", "é", "", "x" * 70000, "after"]).slice(1, 3)
    numbers = pa.array([9, -1, 0, 2**40, 9]).slice(1, 3)
    records = encode_examples({"name": names, "number": numbers})
    lists = pa.array([[9], [1, -1], [], [2**40, 0, 5], [9]], pa.list_(pa.int64())).slice(1, 3)
    assert _encoded({"list": lists}) == [_protobuf({"list": ("list", value)}) for value in ([1, -1], [], [2**40, 0, 5])]
    expected = b"".join(_protobuf({"name": ("string", name), "number": ("int64", number)})
                        for name, number in (("é", -1), ("", 0), ("x" * 70000, 2**40)))
    assert records.data.tobytes() == expected


@pytest.mark.parametrize(("columns", "message"), [
    ({"a": pa.array([1, None])}, "'a' has 1 nulls"),
    ({"a": pa.array([1]), "b": pa.array([1, 2])}, "2 of 1 values"),
    ({"a": pa.array([1.0])}, "not double"),
])
def test_unsupported_columns_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        encode_examples(columns)
