"""OpenTelemetry spans for the requests of a client (extra ``opentelemetry``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tfrs_pretrain.extras import require
from tfrs_pretrain.serving.client.client import Classes, Client
from tfrs_pretrain.serving.client.request_types import Classify, Predict, Regress
from tfrs_pretrain.serving.client.response_types import Metadata, VersionStatus

T = TypeVar("T")


class TracedClient(Client):
    """A client that records a span for each request, children of the caller's span; retries are part of it.

    The spans go to the tracer provider of the process, which the application configures.

    Args:
      client: the client that sends the requests; closed with this one.

    Raises:
      MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self, client: Client):
        require("TracedClient", "opentelemetry")
        from opentelemetry import trace  # noqa: PLC0415 - an optional library

        super().__init__(client.address, client.model, timeout=client.timeout, retries=client.retries)
        self._client, self._kind = client, trace.SpanKind.CLIENT
        self._tracer = trace.get_tracer("tfrs_pretrain.serving.client")

    def predict(self, request: Predict) -> dict[str, np.ndarray]:
        return self._traced("predict", lambda: self._client.predict(request))

    def classify(self, request: Classify) -> Classes:
        return self._traced("classify", lambda: self._client.classify(request))

    def regress(self, request: Regress) -> np.ndarray:
        return self._traced("regress", lambda: self._client.regress(request))

    def status(self) -> list[VersionStatus]:
        return self._traced("status", self._client.status)

    def metadata(self) -> Metadata:
        return self._traced("metadata", self._client.metadata)

    def close(self) -> None:
        self._client.close()

    def _traced(self, verb: str, call: Callable[[], T]) -> T:
        """Calls with a span, which records an error that the call raises."""
        version = self.model.label or self.model.version
        with self._tracer.start_as_current_span(f"{verb} {self.model.name}", kind=self._kind, attributes={
                "server.address": self.address, "tfrs_pretrain.model": self.model.name,
                "tfrs_pretrain.version": "newest" if version is None else str(version)}):
            return call()
