"""Bytes and files: tf.Example encoding, TFRecord framing, shards."""
