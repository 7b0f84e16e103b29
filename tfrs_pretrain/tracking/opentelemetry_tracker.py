"""OpenTelemetry: a span for each stage, and one for the steps between two reports of metrics."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tfrs_pretrain.config.tracking import OpenTelemetryConfig
from tfrs_pretrain.tracking.tracker import StageEnd, StageStart, Tracker
from tfrs_pretrain.version import __version__

FLUSH_MILLIS = 10_000


class OpenTelemetryTracker(Tracker):
    """Exports spans. A caller's span is their parent if TRACEPARENT names one."""

    def __init__(self, settings: OpenTelemetryConfig):
        resource = Resource.create({"service.name": "tfrs-pretrain", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_exporter(settings)))
        self._tracer = self._provider.get_tracer("tfrs_pretrain", __version__)

    def start(self, start: StageStart) -> None:
        inputs = {f"tfrs_pretrain.input.{role}": artifact.digest or artifact.path
                  for role, artifact in start.inputs.items()}
        self._stage = self._tracer.start_span(start.stage, context=_parent(),
                                              attributes={"tfrs_pretrain.model": start.name, **inputs})
        self._last_step, self._last_time = 0, time.time_ns()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = time.time_ns()
        span = self._tracer.start_span("steps", context=trace.set_span_in_context(self._stage),
                                       start_time=self._last_time, attributes={
            "tfrs_pretrain.first_step": self._last_step, "tfrs_pretrain.last_step": step, **_named("metric", values)})
        span.end(now)
        self._last_step, self._last_time = step, now

    def end(self, end: StageEnd) -> None:
        self._stage.set_attributes({"tfrs_pretrain.status": end.status, "tfrs_pretrain.output": end.output.path,
                                    **_named("metric", end.output.metrics), **_named("rows", end.output.counters)})
        if end.output.digest:
            self._stage.set_attribute("tfrs_pretrain.output_digest", end.output.digest)
        if end.error:
            self._stage.set_status(trace.StatusCode.ERROR, end.error)
        self._stage.end()
        if not self._provider.force_flush(FLUSH_MILLIS):
            raise TimeoutError("the exporter did not send the spans in time")
        self._provider.shutdown()


def _exporter(settings: OpenTelemetryConfig) -> Any:
    if settings.exporter == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return OTLPSpanExporter()


def _parent() -> Any:
    """Context of the process that started this one, from TRACEPARENT, as schedulers set it."""
    return TraceContextTextMapPropagator().extract({"traceparent": os.environ.get("TRACEPARENT", "")})


def _named(kind: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"tfrs_pretrain.{kind}.{name}": value for name, value in values.items()}


TRACKER = OpenTelemetryTracker
