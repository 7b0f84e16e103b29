"""Result of a verification."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Check:
    """One comparison of the server with the exported version.

    Attributes:
      transport: "gRPC" or "REST".
      what: what was compared.
      expected: text.
      received: text.
      passed: whether they agree.
    """

    transport: str
    what: str
    expected: str
    received: str
    passed: bool


@dataclasses.dataclass(frozen=True)
class LoadResult:
    """Latency and throughput of a bounded load.

    Attributes:
      signature: signature that was called.
      rows: rows of each request.
      concurrency: number of clients.
      requests: number of requests.
      latency_ms: percentile, such as "p50", and "max" -> milliseconds.
      requests_per_second: over all clients.
      failures: error code, or ``DIFFERENT_ANSWER`` -> number of requests.
    """

    signature: str
    rows: int
    concurrency: int
    requests: int
    latency_ms: dict[str, float]
    requests_per_second: float
    failures: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Returns JSON, with a key such as ``p50_ms`` for each latency."""
        fields = dataclasses.asdict(self)
        latencies = {f"{name}_ms": value for name, value in fields.pop("latency_ms").items()}
        return fields | latencies


@dataclasses.dataclass(frozen=True)
class VerificationResult:
    """Result of comparing a server with an exported version.

    Attributes:
      model: name of the model.
      version: number of the version.
      checks: all comparisons.
      load: transport -> measured load; empty if checks failed or no load was requested.
    """

    model: str
    version: int
    checks: tuple[Check, ...]
    load: dict[str, LoadResult]

    @property
    def passed(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Returns JSON."""
        return {"model": self.model, "version": self.version, "passed": self.passed,
                "checks": [dataclasses.asdict(check) for check in self.checks],
                "load": {transport: load.to_json() for transport, load in self.load.items()}}
