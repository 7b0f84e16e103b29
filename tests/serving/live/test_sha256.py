"""SHA-256 in the graph against hashlib."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.serving.live.sha256 import sha256


@pytest.fixture(scope="module")
def function():
    return tf.function(sha256, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


@pytest.mark.parametrize("message", [bytes(48), bytes(range(48)), b"\xff" * 48, hashlib.sha384(b"x").digest()])
def test_the_digest_is_hashlibs(function, message):
    found = function(tf.constant(message)).numpy()
    assert found.astype(">u4").tobytes() == hashlib.sha256(message).digest()
    assert found.dtype == np.uint32


def test_another_length_is_refused(function):
    with pytest.raises(tf.errors.InvalidArgumentError):
        function(tf.constant(b"short"))
