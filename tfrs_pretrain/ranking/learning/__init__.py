"""Losses, learning rates and the training step of the ranker."""
