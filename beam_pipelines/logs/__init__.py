"""Reading and cleaning of the raw logs."""
