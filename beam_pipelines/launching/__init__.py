"""From a command line to a finished output folder: input checks, pipelines, manifest."""
