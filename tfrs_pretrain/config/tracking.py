"""Configuration of trackers, which record runs elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from tfrs_pretrain.strict_model import StrictModel


class MlflowConfig(StrictModel):
    """Runs, parameters, metrics and models in MLflow."""

    uri: str | None = Field(None, description="tracking server or folder (null: MLFLOW_TRACKING_URI)")
    experiment: str | None = Field(None, description="experiment of the runs (null: the name of the configuration)")
    registered_model: str | None = Field(None, description="name under which `export` registers the exported model, "
                                                           "which is uploaded (null: it is not)")


class OpenLineageConfig(StrictModel):
    """Events about which artifact was made from which."""

    file: str | None = Field(None, description="file that each event is added to as a line of JSON (null: as "
                                               "OPENLINEAGE_URL or OPENLINEAGE_CONFIG say)")
    namespace: str = Field("tfrs-pretrain", description="namespace of the jobs")


class PrometheusConfig(StrictModel):
    """The state of the latest run as a text file, such as for the textfile collector of node_exporter."""

    folder: str = Field(description="folder of the files, one for each stage: tfrs_pretrain_<stage>.prom")


class OpenTelemetryConfig(StrictModel):
    """Spans of stages and of the steps between two evaluations or checkpoints."""

    exporter: Literal["otlp", "console"] = Field("otlp", description="otlp: to OTEL_EXPORTER_OTLP_ENDPOINT over HTTP; "
                                                                     "console: to standard error")


class TrackingConfig(StrictModel):
    """Where runs are recorded, beside manifests and TensorBoard. The name of a tracker alone takes its defaults."""

    mlflow: MlflowConfig | None = Field(None, description="MLflow (extra mlflow; null: off)")
    openlineage: OpenLineageConfig | None = Field(None, description="OpenLineage (extra openlineage; null: off)")
    prometheus: PrometheusConfig | None = Field(None, description="Prometheus (extra prometheus; null: off)")
    opentelemetry: OpenTelemetryConfig | None = Field(
        None, description="OpenTelemetry (extra opentelemetry; null: off)")

    @model_validator(mode="before")
    @classmethod
    def _names_take_defaults(cls, value: Any) -> Any:
        """Accepts ``mlflow`` and ``[mlflow, openlineage]``; an empty mapping of a tracker has its defaults."""
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return {name: {} for name in value}
        return value

    @property
    def configured(self) -> Mapping[str, StrictModel]:
        """Name of each tracker that is on -> its settings."""
        return {name: settings for name in type(self).model_fields if (settings := getattr(self, name)) is not None}
