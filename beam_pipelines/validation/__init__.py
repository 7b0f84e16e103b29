"""Compare a dataset with limits and with an earlier dataset."""
