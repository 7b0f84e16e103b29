"""Beam transforms from cleaned logs to rows: side features, histories, vocabularies, counts and moments."""
