"""What a server, or the way to it, answered instead of a result."""

from __future__ import annotations

from tfrs_pretrain.errors import UserError

# TensorFlow Serving's REST status for each canonical code; where two share one, the first is read back.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "ABORTED": 409, "ALREADY_EXISTS": 409, "FAILED_PRECONDITION": 400, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499,
    "INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
RETRYABLE_CODES = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})


class RequestError(UserError):
    """A request that got no result.

    Attributes:
      code: gRPC's canonical code, such as ``"INVALID_ARGUMENT"``; REST's status translated.
      message: what the server said.
    """

    def __init__(self, code: str, message: str, address: str):
        super().__init__(f"server {address} answers {code}: {' '.join(message.split())}")
        self.code, self.message = code, message


def code_of_status(status: int) -> str:
    """The canonical code of a REST status."""
    return next((code for code, of in HTTP_STATUS.items() if of == status), "UNKNOWN")
