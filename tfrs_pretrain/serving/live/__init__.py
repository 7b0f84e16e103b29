"""A served model whose rows can be replaced while it answers requests, with TensorFlow's own operations only."""
