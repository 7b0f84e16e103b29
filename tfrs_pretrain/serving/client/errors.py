"""Errors of requests, with gRPC's canonical codes for both transports."""

from __future__ import annotations

from tfrs_pretrain.errors import UserError

# TensorFlow Serving's HTTP status of each canonical code; where codes share a status, it translates back to the first.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "ABORTED": 409, "ALREADY_EXISTS": 409, "FAILED_PRECONDITION": 400, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499,
    "INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
RETRYABLE_CODES = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})


class RequestError(UserError):
    """A request without a result.

    Args:
      code: gRPC's canonical code, such as ``"INVALID_ARGUMENT"``.
      message: the server's message.
      address: the server.

    Attributes:
      code: see Args.
      message: see Args.
    """

    def __init__(self, code: str, message: str, address: str):
        super().__init__(f"server {address} answers {code}: {' '.join(message.split())}")
        self.code, self.message = code, message


def code_of_status(status: int) -> str:
    """Returns the canonical code of an HTTP status; UNKNOWN if it has none."""
    return next((code for code, http_status in HTTP_STATUS.items() if http_status == status), "UNKNOWN")
