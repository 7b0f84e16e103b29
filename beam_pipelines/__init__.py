"""Apache Beam jobs that convert logs to the dataset of both training stages. Importing them needs no TensorFlow."""

import logging
import sys

from tfrs_pretrain.extras import MissingExtraError, require


def _is_relevant(record: logging.LogRecord) -> bool:
    # Beam warns on import if its optional Google Cloud client is missing, even if no job needs it.
    return "apitools not found" not in record.getMessage()


try:
    require("beam_pipelines", "beam")
except MissingExtraError as error:
    if sys.argv[0] != "-m":  # that is what Python writes there while it imports the packages of `python -m`
        raise
    sys.stderr.write(f"error: {error}\n")
    sys.exit(2)
logging.getLogger().addFilter(_is_relevant)
import apache_beam as _apache_beam  # noqa: E402, F401

logging.getLogger().removeFilter(_is_relevant)
