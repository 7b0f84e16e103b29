"""Judging predictions: metrics by slice of the impressions."""
