"""Derive configurations and pieces from an arm's settings and a seed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import json_digest
from tfrs_pretrain.config import BUNDLED, Config, OnlineTeacher, first_difference, parse_config
from tfrs_pretrain.config.arms import Overrides
from tfrs_pretrain.config.load import apply_overrides, read_yaml, set_key
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import Experiment, Settings
from tfrs_pretrain.experiments.log_sources import check_data, fingerprint, logs_piece
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, RANKER, Piece

ARM_PREFIX = "arm."  # of the keys that belong to the arm's entry in ranking.arms
SHARED = "shared"  # name of the arm in the configuration that all arms share
# Keys that an arm may not set: differences are paired by impression, and the experiment file sets seeds and arms.
SHARED_KEYS = ("name", "seed", "export", "ranking.arms", "windows.validation", "windows.test")
DATASET_SECTIONS = ("schema", "windows", "dataset")  # sections that determine a dataset
TRAINING_KEYS = ("deterministic", "strategy", "logical_cpus")  # keys of ``training`` that determine results


class Planner:
    """Derives the configurations and pieces of one experiment.

    Args:
      experiment: content of the experiment file.
      path: experiment file.
      data: folder of the provided logs or dataset. None: logs are generated.

    Attributes:
      config: configuration that all arms share.
      logs: piece of the logs. None: logs or a dataset are provided.

    Raises:
      UserError: ``data`` is missing or superfluous, or the shared configuration is invalid.
    """

    def __init__(self, experiment: Experiment, path: Path, data: Path | None):
        check_data(experiment, data)
        self._experiment, self._path, self._data = experiment, path, data
        self._provided = Dataset.open(data) if data and experiment.logs.source == "dataset" else None
        self._base = self._read_base()
        self._base["ranking"] = {**self._base.get("ranking", {}), "arms": {SHARED: {}}}
        self._base["export"] = {"arm": SHARED}
        self.config = parse_config(self._with(self._base, self._shared_settings(), "set"), origin=str(path))
        self.logs = logs_piece(experiment, self.config, data)
        self._fingerprint = fingerprint(experiment.logs.source, data) if data and self.logs is None else None

    def arm_config(self, arm: str, settings: Settings, *, taught: bool = False) -> Config:
        """Return the configuration of one arm, whose only entry in ``ranking.arms`` is named after its transfer.

        Raises:
          UserError: a key is unknown or shared by all arms, or a value is out of range.
        """
        shared = [key for key in settings if any(f"{key}.".startswith(f"{each}.") for each in SHARED_KEYS)]
        if shared:
            raise UserError(f"experiment {str(self._path)!r}: arm {arm!r} sets {shared[0]!r}, which all arms share: "
                            "set it for all arms, or remove it")
        merged = _sections_first({**self._experiment.set, **settings})
        own: dict[str, Any] = {"distillation": {}} if taught else {}
        for key, value in merged.items():
            if key.startswith(ARM_PREFIX):
                set_key(own, key.removeprefix(ARM_PREFIX), copy.deepcopy(value), f"experiment: arm {arm!r}: {key}")
        tree = self._with(self._base, _without_arm_keys(merged), arm)
        transfer = own.get("transfer", {})
        name = transfer if isinstance(transfer, str) else str(transfer.get("kind", "scratch"))
        tree["ranking"]["arms"], tree["export"]["arm"] = {name: own}, name
        config = parse_config(tree, origin=f"{self._path}, arm {arm}")
        self._check_provided_dataset(config, arm)
        return config

    def ranker(self, config: Config, seed: int, *, test: bool, teacher: Piece | None = None) -> Piece:
        """Return the ranker piece of an arm's configuration, with its dependencies.

        Args:
          config: result of ``arm_config``.
          seed: seed of both stages.
          test: whether to score the test impressions.
          teacher: piece of the ranker that teaches it, if any.
        """
        config = _with_arm_overrides_merged(config).model_copy(update={"seed": seed})
        [(name, arm)] = config.ranking.arms.items()
        dataset, rows = self.dataset(config), self.embeddings(config) if arm.pretrained_tables else None
        inputs = {"dataset": self._dataset_name(dataset), "embeddings": rows and rows.name, "seed": seed,
                   "teacher": teacher and teacher.name, "ranking": config.ranking.model_dump(mode="json"),
                   "training": _training_keys(config), "test": test}
        task = {"config": config.resolved(), "dataset": self._place(dataset), "embeddings": rows and _place(rows),
                "teacher": teacher and _place(teacher), "arm": name, "test": test}
        online = arm.distillation and teacher is None and isinstance(arm.distillation.teacher, OnlineTeacher)
        return Piece.from_inputs(RANKER, f"{name}-seed{seed}{'' if test else '-trial'}", inputs, task,
                        tuple(piece for piece in (dataset, rows, teacher) if piece),
                        work=config.ranking.epochs * (2 if online else 1) + 0.5)

    def embeddings(self, config: Config) -> Piece:
        """Return the piece of the rows pretrained with a configuration and its seed."""
        dataset = self.dataset(config)
        inputs = {"dataset": self._dataset_name(dataset), "seed": config.seed, "training": _training_keys(config),
                   "pretraining": config.pretraining.model_dump(mode="json")}
        task = {"config": self._sections(config, *DATASET_SECTIONS, "training", "pretraining", "seed"),
                "dataset": self._place(dataset)}
        return Piece.from_inputs(EMBEDDINGS, f"epochs{config.pretraining.epochs}-seed{config.seed}", inputs, task,
                        (dataset,) if dataset else (), work=config.pretraining.epochs + 0.5)

    def dataset(self, config: Config) -> Piece | None:
        """Return the dataset piece of a configuration; None if the dataset is provided."""
        if self._provided:
            return None
        tree = config.resolved()
        inputs = {"logs": self.logs.name if self.logs else self._fingerprint,
                  **{name: tree[name] for name in DATASET_SECTIONS}}
        task = {"config": self._sections(config, *DATASET_SECTIONS),
                "logs": _place(self.logs) if self.logs else {"folder": str(self._raw)}}
        return Piece.from_inputs(DATASET, "dataset", inputs, task, (self.logs,) if self.logs else ())

    def dataset_folder(self, config: Config, root: Path) -> Path:
        """Return the folder of a configuration's dataset."""
        piece = self.dataset(config)
        return piece.folder(root) if piece else self._raw

    def settings_digest(self, config: Config, teacher: Config | None) -> str:
        """Return a digest that identifies an arm's settings, independent of the seed."""
        dataset, folded = self.dataset(config), _with_arm_overrides_merged(config)
        [arm] = folded.ranking.arms.values()
        return json_digest([
            self._dataset_name(dataset), folded.ranking.model_dump(mode="json"), _training_keys(config),
            config.pretraining.model_dump(mode="json") if arm.pretrained_tables else None,
            self.settings_digest(teacher, None) if teacher else None])

    @property
    def _raw(self) -> Path:
        assert self._data is not None  # checked by check_data
        return self._data.resolve()

    def _read_base(self) -> dict[str, Any]:
        name = self._experiment.config
        if name is None:
            assert self._provided is not None  # checked by Experiment
            return apply_overrides(self._provided.info["config"], (), origin=str(self._provided.folder))
        source = name if name in BUNDLED else str(self._path.parent / name)
        return apply_overrides(read_yaml(source), (), origin=source)

    def _shared_settings(self) -> Settings:
        return _without_arm_keys(self._experiment.set)

    def _with(self, tree: Mapping[str, Any], settings: Settings, where: str) -> dict[str, Any]:
        changed = copy.deepcopy(dict(tree))
        for key, value in _sections_first(settings).items():
            set_key(changed, key, copy.deepcopy(value), f"experiment {str(self._path)!r}: {where}: {key}")
        return changed

    def _sections(self, config: Config, *names: str) -> dict[str, Any]:
        """Return the shared configuration with the named sections of ``config``: only what determines the piece."""
        tree = config.resolved()
        return {**self.config.resolved(), **{name: tree[name] for name in names}}

    def _check_provided_dataset(self, config: Config, arm: str) -> None:
        if self._provided is None:
            return
        built = {"schema": self._provided.schema.model_dump(mode="json"),
                 "windows": self._provided.windows.model_dump(mode="json")}
        for section, value in built.items():
            difference = first_difference(value, config.resolved()[section], section)
            if difference:
                raise UserError(f"experiment {str(self._path)!r}: arm {arm!r} needs another dataset than --data; first "
                                f"difference: {difference}. Provide the logs instead (logs: {{source: raw}})")

    def _dataset_name(self, dataset: Piece | None) -> str | None:
        return dataset.name if dataset else self._fingerprint

    def _place(self, dataset: Piece | None) -> dict[str, str]:
        return _place(dataset) if dataset else {"folder": str(self._raw)}


def _sections_first(settings: Settings) -> Settings:
    """The settings in an order in which no section replaces one of its own keys."""
    return dict(sorted(settings.items(), key=lambda setting: setting[0].count(".")))


def _without_arm_keys(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if not key.startswith(ARM_PREFIX)}


def _place(piece: Piece) -> dict[str, str]:
    return {"kind": piece.kind, "name": piece.name}


def _training_keys(config: Config) -> dict[str, Any]:
    return config.training.model_dump(mode="json", include=set(TRAINING_KEYS))


def _with_arm_overrides_merged(config: Config) -> Config:
    """Write the arm's own epochs and rates into ``ranking``, so that equal settings have equal digests."""
    [(name, arm)] = config.ranking.arms.items()
    bare = arm.model_copy(update=dict.fromkeys(Overrides.model_fields))
    ranking = config.ranking.for_arm(arm).model_copy(update={"arms": {name: bare}})
    return config.model_copy(update={"ranking": ranking})
