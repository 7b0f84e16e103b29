"""MLflow: a run for each stage, with parameters, metrics by step, the manifest, and the registered model."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from tfrs_pretrain.artifact_names import SAVED_MODEL_KIND
from tfrs_pretrain.config.tracking import MlflowConfig
from tfrs_pretrain.tracking.tracker import Artifact, StageEnd, StageStart, Tracker

MAX_PARAMS, MAX_METRICS, MAX_TEXT = 100, 1000, 500  # of one request; characters of a parameter
STATES = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}


class MlflowTracker(Tracker):
    """Records a stage as a run. Credentials come from MLflow's own environment variables."""

    def __init__(self, settings: MlflowConfig):
        self._settings, self._client = settings, MlflowClient(settings.uri, settings.uri)

    def start(self, start: StageStart) -> None:
        name = self._settings.experiment or start.name
        tags = [RunTag(f"tfrs_pretrain.input.{role}", f"{artifact.path}@{artifact.digest}")
                for role, artifact in start.inputs.items()]
        self._run = self._client.create_run(self._experiment(name), run_name=f"{start.name} {start.stage}").info.run_id
        params = [Param(key, text[:MAX_TEXT]) for key, text in _flat(start.config).items()]
        for first in range(0, len(params), MAX_PARAMS):
            self._client.log_batch(self._run, params=params[first:first + MAX_PARAMS])
        self._client.log_batch(self._run, tags=[RunTag("tfrs_pretrain.stage", start.stage), *tags])

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process has just created it
            return str(self._client.get_experiment_by_name(name).experiment_id)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(_key(name), value, now, step) for name, value in values.items()]
        for first in range(0, len(metrics), MAX_METRICS):
            self._client.log_batch(self._run, metrics=metrics[first:first + MAX_METRICS])

    def end(self, end: StageEnd) -> None:
        self.scalars(0, {f"rows.{name}": value for name, value in end.output.counters.items()})
        self.scalars(0, {f"final.{name}": value for name, value in end.output.metrics.items()})
        if end.error:
            self._client.set_tag(self._run, "tfrs_pretrain.error", end.error[:MAX_TEXT])
        if end.output.file:
            self._client.set_tag(self._run, "tfrs_pretrain.output", f"{end.output.path}@{end.output.digest}")
            self._client.log_artifact(self._run, str(end.output.file), "manifest")
        if self._settings.registered_model and end.output.manifest.get("kind") == SAVED_MODEL_KIND:
            self._register(end.output, self._settings.registered_model)
        self._client.set_terminated(self._run, STATES[end.status])

    def _register(self, version: Artifact, name: str) -> None:
        """Uploads an exported version and registers it with the signature of ``serving_default``."""
        with tempfile.TemporaryDirectory() as folder:
            model = Model(artifact_path="model", run_id=self._run, signature=_signature(version.manifest))
            model.add_flavor("saved_model", path="saved_model", version=str(version.manifest["version"]),
                             digest=version.digest)
            model.save(str(Path(folder) / "MLmodel"))
            self._client.log_artifact(self._run, str(Path(folder) / "MLmodel"), "model")
        self._client.log_artifacts(self._run, version.path, "model/saved_model")
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)
        source = f"{self._client.get_run(self._run).info.artifact_uri}/model"
        self._client.create_model_version(name, source, self._run, tags={
            "tfrs_pretrain.version": str(version.manifest["version"]), "tfrs_pretrain.digest": str(version.digest)})


def _signature(manifest: Mapping[str, Any]) -> ModelSignature:
    """Raw inputs and scores of ``serving_default``, as tensors of a batch."""
    def spec(name: str, dtype: str, shape: tuple[int, ...] = (-1,)) -> TensorSpec:
        return TensorSpec(np.dtype("O" if dtype == "string" else dtype), shape, name)

    inputs = [spec(name, entry["dtype"], (-1,) if entry.get("length") is None else (-1, -1))
              for name, entry in manifest["inputs"].items()]
    return ModelSignature(Schema(inputs), Schema([spec(name, "float32") for name in manifest["outputs"]]))


def _flat(tree: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(tree, Mapping) and tree:
        return {name: text for key, value in tree.items()
                for name, text in _flat(value, f"{prefix}.{key}" if prefix else str(key)).items()}
    return {_key(prefix): str(tree)}


def _key(name: str) -> str:
    """A name with the characters that MLflow accepts."""
    return "".join(character if character.isalnum() or character in "_-./ " else "_" for character in name)[:250]


TRACKER = MlflowTracker
