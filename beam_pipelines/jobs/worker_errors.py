"""Beam's log messages about errors of workers, which repeat a UserError with a traceback."""

import contextlib
import logging
from collections.abc import Iterator

from tfrs_pretrain.errors import UserError

LOGGERS = ("apache_beam.runners.common", "apache_beam.runners.worker.sdk_worker")


@contextlib.contextmanager
def held_worker_errors() -> Iterator[None]:
    """Holds back the errors that Beam logs in this process; logs them after the body unless it raised a UserError.

    The line of a UserError says everything. Other errors are bugs, for which the tracebacks are needed.
    """
    held: list[logging.LogRecord] = []

    def hold(record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return True
        held.append(record)
        return False

    for name in LOGGERS:
        logging.getLogger(name).addFilter(hold)
    try:
        yield
    except UserError:
        held.clear()
        raise
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(hold)
        for record in held:
            logging.getLogger(record.name).handle(record)
