"""Rounds of training on moving windows: each starts from the round before and ends in a version that a gate accepts."""
