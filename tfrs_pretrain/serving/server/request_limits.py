"""What one request, and all together, may take."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class RequestLimits:
    """Bounds that keep a hostile client from taking the server with it.

    Attributes:
      batch: rows of any input.
      message_bytes: of a request, over gRPC and REST.
      concurrent: requests that run or wait over gRPC, and connections over REST; more get RESOURCE_EXHAUSTED.
      threads: requests that run at once over gRPC.
      idle_seconds: after which a silent REST connection is closed.
    """

    batch: int = 100_000
    message_bytes: int = 64 << 20
    concurrent: int = 256
    threads: int = 16
    idle_seconds: float = 30.0


DEFAULT_LIMITS = RequestLimits()
