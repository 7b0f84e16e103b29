"""Evaluation of stored predictions: slices, bootstrap intervals, paired comparison, promotion gate. No TensorFlow."""
