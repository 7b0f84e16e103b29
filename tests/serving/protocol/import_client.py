"""Program: imports the client side without TensorFlow, then TensorFlow after it."""

import sys

assert not {name for name in sys.modules if name.startswith("tensorflow.python")}
assert "tensorflow" not in sys.modules

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfrs_pretrain.serving.protocol.tensor_protos import to_proto  # noqa: E402

assert tf.make_ndarray(to_proto(np.array([1, 2]))).tolist() == [1, 2]
assert tf.io.parse_tensor
assert tf.train.Example
