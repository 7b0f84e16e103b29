"""Tuning: race settings of both stages on validation within a time budget, and write the chosen configuration."""
