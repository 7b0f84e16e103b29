"""Arms times seeds of both stages: what they share is made once, settings are chosen on validation, test is kept."""
