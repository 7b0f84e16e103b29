"""The result of Stage I."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class PretrainResult:
    """What ``pretrain`` did; the embeddings artifact's manifest without its tables.

    Logits are ``similarity / temperature + popularity_prior * log(share of the item in the training pairs)``; ranking
    as the metrics did needs both numbers.

    Attributes:
      config: the resolved configuration.
      dataset_info_digest: SHA-256 of the dataset's info file.
      epochs: metrics of the initial rows (epoch 0) and after each epoch, see ``Evaluator``. ``train_loss`` is the mean
        over the epoch while it ran, so it lags behind the held-out loss. ``seconds`` counts training only,
        ``evaluation_seconds`` the evaluation.
      kept_epoch: epoch of the saved rows, always the last.
      machine: hardware and library versions.
      peak_rss_bytes: peak memory of the process.
      popularity_prior: scale of the prior in the logits.
      replicas: number of replicas.
      seconds: time of the whole run, summed over all processes that worked on it.
      seed: seed of the run.
      steps_per_epoch: steps per epoch.
      temperature: final divisor of the similarity in a logit.
      vocabulary_digests: table -> digest of its vocabulary.
      window: first and last time of the training data, including that of the rows that the run started from.
    """

    config: dict[str, Any]
    dataset_info_digest: str
    epochs: list[dict[str, Any]]
    kept_epoch: int
    machine: dict[str, Any]
    peak_rss_bytes: int
    popularity_prior: float
    replicas: int
    seconds: float
    seed: int
    steps_per_epoch: int
    temperature: float
    vocabulary_digests: dict[str, str]
    window: dict[str, Any]

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any]) -> PretrainResult:
        """Reads the result from the artifact's manifest."""
        return cls(**{field.name: manifest[field.name] for field in dataclasses.fields(cls)})

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON value."""
        return dataclasses.asdict(self)
