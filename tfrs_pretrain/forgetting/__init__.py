"""Forgetting: removal of ids from everything that the product wrote, and the proof that they are absent."""
