"""Trackers: services of others that record stages, their metrics and their artifacts."""
