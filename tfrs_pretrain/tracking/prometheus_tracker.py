"""Prometheus: the state of the latest run of a stage in a text file, replaced in one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from tfrs_pretrain.config.tracking import PrometheusConfig
from tfrs_pretrain.tracking.tracker import StageEnd, StageStart, Tracker


class PrometheusTracker(Tracker):
    """Writes ``tfrs_pretrain_<stage>.prom``. All values are gauges: each run starts anew."""

    def __init__(self, settings: PrometheusConfig):
        self._folder = Path(settings.folder)
        self._registry = CollectorRegistry()
        self._running = self._gauge("running", "1 while the stage runs")
        self._finished = self._gauge("last_success_timestamp_seconds", "when the latest run finished")
        self._seconds = self._gauge("seconds", "wall-clock time of the latest run")
        self._step = self._gauge("step", "steps of training so far")
        self._metric = self._gauge("metric", "latest value of a metric", "name")
        self._rows = self._gauge("rows", "rows that the Beam jobs counted", "counter")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"tfrs_pretrain_{name}", text, ("stage", "model", *labels), registry=self._registry)

    def start(self, start: StageStart) -> None:
        self._labels = start.stage, start.name
        self._running.labels(*self._labels).set(1)
        self._write()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._step.labels(*self._labels).set(step)
        self._set(self._metric, values)
        self._write()

    def end(self, end: StageEnd) -> None:
        self._running.labels(*self._labels).set(0)
        self._seconds.labels(*self._labels).set(end.seconds)
        if end.status == "finished":
            self._finished.labels(*self._labels).set_to_current_time()
        self._set(self._metric, end.output.metrics)
        self._set(self._rows, end.output.counters)
        self._write()

    def _set(self, gauge: Gauge, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            gauge.labels(*self._labels, name).set(value)

    def _write(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(self._folder / f"tfrs_pretrain_{self._labels[0]}.prom"), self._registry)


TRACKER = PrometheusTracker
