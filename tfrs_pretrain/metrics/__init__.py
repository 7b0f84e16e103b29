"""Retrieval and ranking metrics in numpy."""
