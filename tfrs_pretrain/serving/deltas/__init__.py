"""The state that a version serves, and deltas: what changed from one state to the next."""
