"""Pretrained rows for other programs: by raw id, as layers of other models, and in other file formats."""
