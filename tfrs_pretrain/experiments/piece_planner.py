"""Derive the pieces of an experiment from the configurations of its arms and the seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.config import Config, OnlineTeacher
from tfrs_pretrain.config.arms import Overrides
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.experiments.arm_configs import ArmConfigs
from tfrs_pretrain.experiments.definition import Experiment
from tfrs_pretrain.experiments.log_sources import check_data, fingerprint, logs_piece
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, RANKER, Piece
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.pretraining.num_epochs import FEWEST

DATASET_SECTIONS = ("schema", "windows", "dataset")  # sections that determine a dataset
# Keys of a task that name an earlier piece of a chain.
CARRIED, START_FROM, START_FROM_DATASET, REFRESHED_FROM = CHAIN_KEYS = (
    "carried", "start_from", "start_from_dataset", "refreshed_from")
TRAINING_KEYS = ("deterministic", "strategy", "logical_cpus")  # keys of ``training`` that determine results


@dataclasses.dataclass(frozen=True)
class Link:
    """What a piece of a chain is made from.

    Attributes:
      dataset: piece of its dataset. None: the dataset is provided.
      rows: piece of the pretrained rows. None: there are none.
      earlier: key of ``CHAIN_KEYS`` -> earlier piece.
      title: readable part of its name; empty: the usual one.
      work: factor of its work.
    """

    dataset: Piece | None
    rows: Piece | None = None
    earlier: Mapping[str, Piece] = dataclasses.field(default_factory=dict)
    title: str = ""
    work: float = 1.0


class Planner:
    """Derives the pieces of one experiment.

    Args:
      experiment: content of the experiment file.
      path: experiment file.
      data: folder of the provided logs or dataset. None: logs are generated.

    Attributes:
      configs: derives the configurations.
      logs: piece of the logs. None: logs or a dataset are provided.

    Raises:
      UserError: ``data`` is missing or superfluous, or the shared configuration is invalid.
    """

    def __init__(self, experiment: Experiment, path: Path, data: Path | None):
        check_data(experiment, data)
        self._data = data
        self._provided = Dataset.open(data) if data and experiment.logs.source == "dataset" else None
        self.configs = ArmConfigs(experiment, path, self._provided)
        self.logs = logs_piece(experiment, self.configs.shared, data)
        self._fingerprint = fingerprint(experiment.logs.source, data) if data and self.logs is None else None

    def ranker(self, config: Config, seed: int, *, test: bool, teacher: Piece | None = None,
               link: Link | None = None) -> Piece:
        """Return the ranker piece of an arm's configuration, with its dependencies.

        Args:
          config: result of ``ArmConfigs.arm_config``.
          seed: seed of both stages.
          test: whether to score the test impressions.
          teacher: piece of the ranker that teaches it, if any.
          link: place in a chain of rankers; None: the ranker is in no chain.
        """
        config = with_arm_overrides_merged(config).model_copy(update={"seed": seed})
        [(name, arm)] = config.ranking.arms.items()
        if link is None:
            link = Link(self.dataset(config), self.embeddings(config) if arm.pretrained_tables else None)
        dataset, rows, chained = link.dataset, link.rows, link.earlier
        inputs = {"dataset": self._dataset_name(dataset), "embeddings": rows and rows.name, "seed": seed,
                   "teacher": teacher and teacher.name, "ranking": config.ranking.model_dump(mode="json"),
                   "training": _training_keys(config), "test": test}
        inputs |= {key: piece.name for key, piece in chained.items()}
        task = {"config": config.resolved(), "dataset": self._reference(dataset),
                "embeddings": rows and _reference(rows), "teacher": teacher and _reference(teacher), "arm": name,
                "test": test} | {key: _reference(piece) for key, piece in chained.items()}
        online = arm.distillation and teacher is None and isinstance(arm.distillation.teacher, OnlineTeacher)
        place = link.title or f"seed{seed}{'' if test else '-trial'}"
        return Piece.from_inputs(RANKER, f"{name}-{place}", inputs, task,
                        tuple(piece for piece in (dataset, rows, teacher, *chained.values()) if piece),
                        work=config.ranking.epochs * (2 if online else 1) * link.work + 0.5)

    def embeddings(self, config: Config, link: Link | None = None) -> Piece:
        """Return the piece of the rows pretrained with a configuration and its seed, or carried over untrained.

        Args:
          config: of the run.
          link: dataset and earlier rows; None: the configuration's dataset and no earlier rows.
        """
        link = link or Link(self.dataset(config))
        dataset, chained, epochs = link.dataset, link.earlier, config.pretraining.epochs
        inputs: dict[str, Any] = {"dataset": self._dataset_name(dataset)}
        if CARRIED not in chained:
            inputs |= {"seed": config.seed, "training": _training_keys(config),
                       "pretraining": config.pretraining.model_dump(mode="json")}
        inputs |= {key: piece.name for key, piece in chained.items()}
        task = {"config": self._sections(config, *DATASET_SECTIONS, "training", "pretraining", "seed"),
                "dataset": self._reference(dataset)} | {key: _reference(piece) for key, piece in chained.items()}
        name = f"seed{config.seed}" if epochs is None else f"epochs{epochs}-seed{config.seed}"
        return Piece.from_inputs(EMBEDDINGS, link.title or name, inputs, task,
                                 tuple(piece for piece in (dataset, *chained.values()) if piece),
                                 work=0.1 if CARRIED in chained else (FEWEST if epochs is None else epochs) + 0.5)

    def dataset(self, config: Config, extend: Piece | None = None, title: str = "dataset") -> Piece | None:
        """Return the dataset piece of a configuration; None if the dataset is provided.

        Args:
          config: of the run.
          extend: dataset whose vocabularies it extends. None: it builds its own.
          title: readable part of its name.
        """
        if self._provided:
            return None
        tree = config.resolved()
        inputs = {"logs": self.logs.name if self.logs else self._fingerprint,
                  **{name: tree[name] for name in DATASET_SECTIONS}}
        task = {"config": self._sections(config, *DATASET_SECTIONS),
                "logs": _reference(self.logs) if self.logs else {"folder": str(self._raw)}}
        if extend:
            inputs, task = inputs | {"extend": extend.name}, task | {"extend": _reference(extend)}
        return Piece.from_inputs(DATASET, title, inputs, task, tuple(piece for piece in (self.logs, extend) if piece))

    def dataset_folder(self, config: Config, root: Path) -> Path:
        """Return the folder of a configuration's dataset."""
        piece = self.dataset(config)
        return piece.folder(root) if piece else self._raw

    def settings_digest(self, config: Config, teacher: Config | None) -> str:
        """Return a digest that identifies an arm's settings, independent of the seed."""
        dataset, merged = self.dataset(config), with_arm_overrides_merged(config)
        [arm] = merged.ranking.arms.values()
        return json_digest([
            self._dataset_name(dataset), merged.ranking.model_dump(mode="json"), _training_keys(config),
            config.pretraining.model_dump(mode="json") if arm.pretrained_tables else None,
            self.settings_digest(teacher, None) if teacher else None])

    @property
    def _raw(self) -> Path:
        assert self._data is not None  # checked by check_data
        return self._data.resolve()

    def _sections(self, config: Config, *names: str) -> dict[str, Any]:
        """Return the shared configuration with the named sections of ``config``: only what determines the piece."""
        tree = config.resolved()
        return {**self.configs.shared.resolved(), **{name: tree[name] for name in names}}

    def _dataset_name(self, dataset: Piece | None) -> str | None:
        return dataset.name if dataset else self._fingerprint

    def _reference(self, dataset: Piece | None) -> dict[str, str]:
        return _reference(dataset) if dataset else {"folder": str(self._raw)}


def _reference(piece: Piece) -> dict[str, str]:
    return {"kind": piece.kind, "name": piece.name}


def _training_keys(config: Config) -> dict[str, Any]:
    return config.training.model_dump(mode="json", include=set(TRAINING_KEYS))


def with_arm_overrides_merged(config: Config) -> Config:
    """Write the arm's epochs and rates into ``ranking``, so that equal settings have equal digests."""
    [(name, arm)] = config.ranking.arms.items()
    bare = arm.model_copy(update=dict.fromkeys(Overrides.model_fields))
    ranking = config.ranking.for_arm(arm).model_copy(update={"arms": {name: bare}})
    return config.model_copy(update={"ranking": ranking})
