"""Public and planted logs for experiments."""
