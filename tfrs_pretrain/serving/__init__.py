"""Serving of a trained ranker with TensorFlow Serving: export, client, development server and verification."""
