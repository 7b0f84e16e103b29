"""Apache Beam jobs that turn logs into the dataset that both training stages read."""

import logging


def _worth_showing(record: logging.LogRecord) -> bool:
    # Beam warns on import that its optional Google Cloud client is absent, whether or not a job needs it.
    return "apitools not found" not in record.getMessage()


logging.getLogger().addFilter(_worth_showing)
import apache_beam as _apache_beam  # noqa: E402, F401

logging.getLogger().removeFilter(_worth_showing)
