"""Limits on the resources that requests may use."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class RequestLimits:
    """Limits that protect the server from a hostile client.

    Attributes:
      batch: max size of the first dimension of any input.
      message_bytes: max size of a request in bytes, over gRPC and REST.
      concurrent: max number of running and waiting requests (gRPC) and of open connections (REST); requests beyond it
        get RESOURCE_EXHAUSTED.
      threads: max number of gRPC requests that run at once.
      idle_seconds: time after which an idle REST connection is closed.
    """

    batch: int = 100_000
    message_bytes: int = 64 << 20
    concurrent: int = 256
    threads: int = 16
    idle_seconds: float = 30.0


DEFAULT_LIMITS = RequestLimits()
