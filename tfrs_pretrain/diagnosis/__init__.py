"""Diagnosis of the one-epoch phenomenon: whether held-out loss jumps after the first epoch, and which ids cause it."""
