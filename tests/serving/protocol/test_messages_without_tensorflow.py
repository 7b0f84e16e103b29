"""Arrays as messages against TensorFlow's own conversion, and what importing a client loads."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.tf_examples import to_example
from tfrs_pretrain.serving.protocol.messages import TensorProto
from tfrs_pretrain.serving.protocol.tensor_protos import from_proto, to_proto
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs

SHAPES = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(st.one_of(arrays(np.int64, SHAPES), arrays(np.float32, SHAPES), arrays(bool, SHAPES),
                 arrays(object, SHAPES, elements=st.binary(max_size=5))))
def test_both_ways_agree_with_tensorflow(values):
    ours = to_proto(values)
    np.testing.assert_array_equal(tf.make_ndarray(ours), values)
    np.testing.assert_array_equal(from_proto(ours), values)
    theirs = tf.make_tensor_proto(values, dtype=tf.string if values.dtype == object else None)
    np.testing.assert_array_equal(from_proto(theirs), values)
    assert from_proto(theirs).dtype == values.dtype


def test_a_last_value_stands_for_all_that_follow():
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
def test_messages_that_are_no_tensor(message):
    with pytest.raises(ValueError, match=r"shape|not supported"):
        from_proto(message)


def test_raw_values_become_the_right_kind():
    example = to_example({"a": 5, "b": [1.5, float("nan")], "c": "Perú", "d": [b"\xff", "x"], "e": None, "f": [],
                          "g": np.array([1, 2]), "h": np.float32(0.5), "i": np.array(["q"])})
    features = example.features.feature
    assert set(features) == {"a", "b", "c", "d", "g", "h", "i"}
    assert list(features["a"].int64_list.value) == [5]
    assert features["b"].float_list.value[0] == 1.5
    assert list(features["c"].bytes_list.value) == ["Perú".encode()]
    assert list(features["d"].bytes_list.value) == [b"\xff", b"x"]
    assert list(features["g"].int64_list.value) == [1, 2]
    assert list(features["h"].float_list.value) == [0.5]
    assert list(features["i"].bytes_list.value) == [b"q"]


@pytest.mark.parametrize("value", [True, {"x": 1}, [1, "a"], [1, 1.5], [[1]]])
def test_values_of_no_kind(value):
    with pytest.raises(UserError, match=r"feature 'a' is .* expected an integer"):
        to_example({"a": value})


def test_records_are_read_as_tensorflow_wrote_them(tmp_path):
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    logs = [PredictionLog() for _ in range(3)]
    for number, log in enumerate(logs):
        log.predict_log.request.model_spec.name = "x" * number
    path = tmp_path / "logs"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    assert list(read_prediction_logs(path)) == logs
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:-6] + b"\0" + whole[-5:], whole[:5]):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="is damaged at byte"):
            list(read_prediction_logs(path))


def test_a_client_does_not_load_tensorflow_and_tensorflow_loads_after_it():
    code = ("import sys, tfrs_pretrain.serving.client, tfrs_pretrain.serving.labels.models_config, "
            "tfrs_pretrain.serving.verification.run, tfrs_pretrain.serving.client.query as q\n"
            "assert not {name for name in sys.modules if name.startswith('tensorflow.python')}\n"
            "assert 'tensorflow' not in sys.modules\n"
            "import tensorflow as tf\n"
            "from tfrs_pretrain.serving.protocol.tensor_protos import to_proto\n"
            "assert tf.make_ndarray(to_proto(__import__('numpy').array([1, 2]))).tolist() == [1, 2]\n"
            "assert tf.io.parse_tensor and tf.train.Example\n")
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
