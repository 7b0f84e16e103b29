"""Experiments: every arm is trained with every seed, shared work is done once, settings are chosen on validation."""
