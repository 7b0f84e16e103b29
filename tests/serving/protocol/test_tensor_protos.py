"""Arrays and ``TensorProto``s against TensorFlow's own conversion."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tfrs_pretrain.serving.protocol.messages import TensorProto
from tfrs_pretrain.serving.protocol.tensor_protos import MAX_ELEMENTS, dtype_name, from_proto, numpy_dtype, to_proto

SHAPES = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(st.one_of(arrays(np.int64, SHAPES), arrays(np.float32, SHAPES), arrays(bool, SHAPES),
                 arrays(object, SHAPES, elements=st.binary(max_size=5))))
def test_conversions_agree_with_tensorflow(values):
    ours = to_proto(values)
    np.testing.assert_array_equal(tf.make_ndarray(ours), values)
    np.testing.assert_array_equal(from_proto(ours), values)
    theirs = tf.make_tensor_proto(values, dtype=tf.string if values.dtype == object else None)
    np.testing.assert_array_equal(from_proto(theirs), values)
    assert from_proto(theirs).dtype == values.dtype


def test_the_last_value_fills_the_rest_of_the_tensor():
    message = tf.make_tensor_proto(3, tf.int64, shape=[2, 2])
    message.int64_val.append(4)
    np.testing.assert_array_equal(from_proto(message), tf.make_ndarray(message))
    assert from_proto(message).tolist() == [[3, 4], [4, 4]]


def hostile(**fields):
    sizes = fields.pop("sizes")
    message = TensorProto(dtype=fields.pop("dtype", 9), **fields)
    for size in sizes:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize("message", [
    hostile(sizes=[1 << 40], int64_val=[1]), hostile(sizes=[1 << 62, 1 << 62]), hostile(sizes=[-1], int64_val=[1]),
    hostile(sizes=[1] * 9, int64_val=[1]), hostile(sizes=[1], int64_val=[1, 2]), hostile(sizes=[3]),
    hostile(sizes=[2], tensor_content=b"\0" * 15), hostile(sizes=[1], dtype=7, tensor_content=b"x"),
    hostile(sizes=[1], dtype=20), hostile(sizes=[1], dtype=0), hostile(sizes=[2], dtype=1, int64_val=[1, 2])])
def test_invalid_messages_are_refused(message):
    with pytest.raises(ValueError, match=r"shape|not supported"):
        from_proto(message)


@pytest.mark.parametrize(("number", "name", "numpy_type"), [
    (1, "float32", np.float32), (2, "double", np.float64), (3, "int32", np.int32), (9, "int64", np.int64),
    (10, "bool", np.bool_), (7, "string", np.object_)])
def test_names_and_numpy_types_of_the_supported_dtypes(number, name, numpy_type):
    assert dtype_name(number) == name
    assert numpy_dtype(number) == numpy_type


def test_an_unsupported_dtype_is_named():
    assert dtype_name(23) == "uint64"
    with pytest.raises(ValueError, match="dtype 23 is not supported"):
        numpy_dtype(23)


FIELDS = [(np.float32, "float_val", [0.5, -1.5]), (np.float64, "double_val", [0.1, 1e300]),
          (np.int32, "int_val", [1, -(1 << 31)]), (np.int64, "int64_val", [(1 << 63) - 1, -(1 << 63)]),
          (bool, "bool_val", [True, False]), (object, "string_val", [b"a", b"\xff"])]


@pytest.mark.parametrize(("dtype", "field", "values"), FIELDS)
def test_every_dtype_is_read_from_its_own_field(dtype, field, values):
    """``tf.make_tensor_proto`` with a shape fills the field; without one it may fill tensor_content."""
    message = tf.make_tensor_proto(values, dtype=tf.string if dtype is object else dtype, shape=[2, 1])
    message.tensor_content = b""
    getattr(message, field)[:] = values
    found = from_proto(message)
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == [[values[0]], [values[1]]]


@pytest.mark.parametrize(("dtype", "field", "values"), FIELDS)
def test_every_dtype_is_written_as_tensorflow_writes_it(dtype, field, values):
    array = np.array(values, dtype)
    ours, theirs = to_proto(array), tf.make_tensor_proto(array, dtype=tf.string if dtype is object else None)
    assert ours.dtype == theirs.dtype
    assert ours.tensor_shape == theirs.tensor_shape
    np.testing.assert_array_equal(tf.make_ndarray(ours), tf.make_ndarray(theirs))


def test_arrays_of_another_byte_order_or_layout_are_sent_in_order():
    big_endian = np.array([1, 2, 3], ">i8")
    assert tf.make_ndarray(to_proto(big_endian)).tolist() == [1, 2, 3]
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert tf.make_ndarray(to_proto(transposed)).tolist() == transposed.tolist()


def test_strings_of_any_numpy_type_are_sent_as_utf8():
    for values in (np.array(["ä", "b"]), np.array(["ä", b"b"], object), np.array(["ä".encode(), b"b"])):
        assert list(to_proto(values).string_val) == ["ä".encode(), b"b"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.complex64, "M8[s]"])
def test_other_dtypes_cannot_be_sent(dtype):
    with pytest.raises(ValueError, match="cannot be sent: expected int64, float32 or strings"):
        to_proto(np.zeros(1, dtype))


def test_the_size_limit_itself_is_allowed():
    at_limit = hostile(sizes=[MAX_ELEMENTS], dtype=10, bool_val=[True])
    assert from_proto(at_limit).shape == (MAX_ELEMENTS,)
    with pytest.raises(ValueError, match="has more than 67108864 values"):
        from_proto(hostile(sizes=[MAX_ELEMENTS + 1], dtype=10, bool_val=[True]))
    assert from_proto(hostile(sizes=[1] * 8, int64_val=[5])).ravel().tolist() == [5]


def test_a_shape_of_unknown_rank_is_refused():
    message = hostile(sizes=[], int64_val=[1])
    assert from_proto(message).tolist() == 1
    message.tensor_shape.unknown_rank = True
    with pytest.raises(ValueError, match="is not that of a tensor"):
        from_proto(message)
