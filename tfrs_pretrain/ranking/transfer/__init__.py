"""Start ID tables from pretrained rows, and hold them there."""
