"""Beam transforms between cleaned logs and records."""
