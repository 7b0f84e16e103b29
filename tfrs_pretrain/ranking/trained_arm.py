"""The result of training one arm, as recorded in the ranker's manifest."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class TrainedArm:
    """Metrics, timings and provenance of a trained arm.

    Attributes:
      arm: its name.
      transfer: kind of transfer, one word if both ID tables have the same, otherwise ID space -> kind.
      embeddings: provenance of the pretrained rows; None without transfer.
      coverage: split -> shares of impressions and ids with pretrained rows; empty without transfer.
      epochs: record of each epoch: number, training means, validation metrics, and ``seconds`` of training and
        ``evaluation_seconds``.
      curve: evaluations within epochs (``ranking.evals_per_epoch``): ``epoch`` and ``examples`` so far, ``train_loss``
        since the previous one, ``log_loss`` and ``auc`` (None if undefined) of a sample of validation impressions.
      cold_fits: ID space -> ``ColdFit.to_json``, where the arm predicts the rows of unknown ids.
      best_epoch: epoch whose weights the artifact has.
      metrics: split -> ``SplitMetrics.metrics``.
      slices: split -> ``SplitMetrics.slices``.
      seconds: training and evaluation, summed over all processes that worked on the run.
      replicas: number of replicas.
      examples_per_second: training throughput without evaluation.
      machine: description of the hardware.
      peak_rss_bytes: peak resident memory of this process.
      config: resolved configuration.
      windows: time windows of the dataset.
      vocabularies: name -> digest.
      dataset_digest: of ``dataset_info.json``.
      against_scratch: ``Benefit.to_json`` of the comparison with a ranker from scratch; None without one.
    """

    arm: str
    transfer: str | dict[str, str]
    embeddings: dict[str, Any] | None
    coverage: dict[str, dict[str, float]]
    epochs: list[dict[str, Any]]
    curve: list[dict[str, Any]]
    cold_fits: dict[str, dict[str, Any]]
    best_epoch: int
    metrics: dict[str, dict[str, Any]]
    slices: dict[str, list[dict[str, Any]]]
    seconds: float
    replicas: int
    examples_per_second: float
    machine: dict[str, Any]
    peak_rss_bytes: int
    config: dict[str, Any]
    windows: dict[str, Any]
    vocabularies: dict[str, str]
    dataset_digest: str
    against_scratch: dict[str, Any] | None = None

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any]) -> TrainedArm:
        """Read the result from the ranker's manifest."""
        required = [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING]
        return cls(**{name: manifest[name] for name in required}, against_scratch=manifest.get("against_scratch"))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the manifest stores them."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
