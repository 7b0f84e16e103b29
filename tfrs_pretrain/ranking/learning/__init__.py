"""Losses, learning rates and the training step of a ranker."""
