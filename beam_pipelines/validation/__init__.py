"""Validation of a dataset's records: column statistics, drift, thresholds and the report."""
