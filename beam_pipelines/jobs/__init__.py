"""Job configuration: the log specifications, the pipeline options, and the runner."""
