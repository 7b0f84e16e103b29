"""Sends deltas to a running server whose model takes live updates."""
