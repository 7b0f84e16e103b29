"""Apache Beam jobs that convert logs to the dataset of both training stages. Importing them needs no TensorFlow."""

import logging


def _is_relevant(record: logging.LogRecord) -> bool:
    # Beam warns on import if its optional Google Cloud client is missing, even if no job needs it.
    return "apitools not found" not in record.getMessage()


logging.getLogger().addFilter(_is_relevant)
import apache_beam as _apache_beam  # noqa: E402, F401

logging.getLogger().removeFilter(_is_relevant)
