"""Files of the dataset: tf.Example encoding and parsing, TFRecord framing, shards."""
