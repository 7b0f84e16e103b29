"""Ranking, calibration and retrieval metrics in numpy, without TensorFlow."""
