"""Compares a live server with the exported version that it should serve."""
