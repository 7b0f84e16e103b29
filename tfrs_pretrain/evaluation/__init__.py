"""Judging stored predictions: slices, intervals by user, paired comparison, the promotion gate. Needs no TensorFlow."""
