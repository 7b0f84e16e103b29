"""SHA-256 in the graph against hashlib."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.serving.live.sha256 import sha256


@pytest.mark.parametrize("message", [bytes(48), bytes(range(48)), b"\xff" * 48, hashlib.sha384(b"x").digest()])
def test_the_digest_is_hashlibs(message):
    found = tf.function(sha256)(tf.constant(message)).numpy()
    assert found.astype(">u4").tobytes() == hashlib.sha256(message).digest()
    assert found.dtype == np.uint32


def test_another_length_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.function(sha256)(tf.constant(b"short"))
