"""File formats in which other programs read pretrained rows."""
