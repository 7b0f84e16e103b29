"""Request errors: a canonical gRPC status code and a one-line message."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import tensorflow as tf

from tfrs_pretrain.errors import UserError

LOGGER = logging.getLogger(__name__)
MAX_MESSAGE_LENGTH = 1000  # characters
# Ordered by number: the position of a code is gRPC's number for it.
_CODES = ("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
          "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
          "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED")


class StatusError(Exception):
    """A request that ends with an error status instead of a result.

    Attributes:
      code: name of gRPC's canonical status code.
      message: one line of at most ``MAX_MESSAGE_LENGTH`` characters.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, " ".join(message.split())[:MAX_MESSAGE_LENGTH]

    @property
    def number(self) -> int:
        """gRPC's number for the code."""
        return _CODES.index(self.code)


def invalid_argument(message: str) -> StatusError:
    """An INVALID_ARGUMENT error."""
    return StatusError("INVALID_ARGUMENT", message)


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Translates every exception of the body to a ``StatusError``, so that only the request that caused it fails.

    Raises:
      StatusError: the body raised an exception.
    """
    try:
        yield
    except StatusError:
        raise
    except tf.errors.OpError as error:
        raise StatusError(_CODES[error.error_code], error.message) from error
    except UserError as error:
        raise StatusError("FAILED_PRECONDITION", str(error)) from error
    except MemoryError as error:
        raise StatusError("RESOURCE_EXHAUSTED", "out of memory") from error
    except Exception as error:
        LOGGER.exception("a request failed")
        raise StatusError("INTERNAL", f"{type(error).__name__}: {error}") from error
