"""The demo on the completejourney data, from raw logs to a served model."""
