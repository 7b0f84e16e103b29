"""From an arm's settings and a seed to the pieces that make its ranker."""

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
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, RANKER, Piece
from tfrs_pretrain.experiments.sources import check_data, fingerprint, logs_piece

OWN = "arm."  # prefix of the keys that are the arm's own
SHARED = "shared"
# What an arm may not change: differences are paired by impression, seeds and arms are the experiment's.
FIXED = ("name", "seed", "export", "ranking.arms", "windows.validation", "windows.test")
BUILT = ("schema", "windows", "dataset")  # sections that decide a dataset
TRAINING = ("deterministic", "strategy", "logical_cpus")  # keys that decide bits


class Planner:
    """Makes configurations and pieces of one experiment.

    Args:
      experiment: the file's content.
      path: of the file.
      data: folder of the given logs or dataset; None where logs are made.

    Attributes:
      config: what all arms share.
      logs: the piece, None where logs or a dataset are given.

    Raises:
      UserError: data is missing or not asked for, or the shared configuration is not valid.
    """

    def __init__(self, experiment: Experiment, path: Path, data: Path | None):
        check_data(experiment, data)
        self._experiment, self._path, self._data = experiment, path, data
        self._given = Dataset.open(data) if data and experiment.logs.source == "dataset" else None
        self._base = self._read_base()
        self._base["ranking"] = {**self._base.get("ranking", {}), "arms": {SHARED: {}}}
        self._base["export"] = {"arm": SHARED}
        self.config = parse_config(self._with(self._base, self._shared_settings(), "set"), origin=str(path))
        self.logs = logs_piece(experiment, self.config, data)
        self._fingerprint = fingerprint(experiment.logs.source, data) if data and self.logs is None else None

    def arm_config(self, arm: str, settings: Settings, *, taught: bool = False) -> Config:
        """The configuration of one arm, which is its only one, named after its transfer.

        Raises:
          UserError: a key is unknown or not the arm's to change, or a value is out of its range.
        """
        fixed = [key for key in settings if any(f"{key}.".startswith(f"{each}.") for each in FIXED)]
        if fixed:
            raise UserError(f"experiment {str(self._path)!r}: arm {arm!r} sets {fixed[0]!r}, which all arms share: "
                            "set it for all, or leave it out")
        merged = _sections_first({**self._experiment.set, **settings})
        own: dict[str, Any] = {"distillation": {}} if taught else {}
        for key, value in merged.items():
            if key.startswith(OWN):
                set_key(own, key.removeprefix(OWN), copy.deepcopy(value), f"experiment: arm {arm!r}: {key}")
        tree = self._with(self._base, {key: value for key, value in merged.items() if not key.startswith(OWN)}, arm)
        transfer = own.get("transfer", {})
        name = transfer if isinstance(transfer, str) else str(transfer.get("kind", "scratch"))
        tree["ranking"]["arms"], tree["export"]["arm"] = {name: own}, name
        config = parse_config(tree, origin=f"{self._path}, arm {arm}")
        self._check_given(config, arm)
        return config

    def ranker(self, config: Config, seed: int, *, test: bool, teacher: Piece | None = None) -> Piece:
        """The ranker of an arm's configuration, with all that it needs.

        Args:
          config: from ``arm_config``.
          seed: of both stages.
          test: whether the test impressions are scored.
          teacher: ranker that teaches it.
        """
        config = _folded(config).model_copy(update={"seed": seed})
        [(name, arm)] = config.ranking.arms.items()
        dataset, rows = self.dataset(config), self.embeddings(config) if arm.pretrained_tables else None
        decides = {"dataset": self._dataset_name(dataset), "embeddings": rows and rows.name, "seed": seed,
                   "teacher": teacher and teacher.name, "ranking": config.ranking.model_dump(mode="json"),
                   "training": _deciding(config), "test": test}
        task = {"config": config.resolved(), "dataset": self._place(dataset), "embeddings": rows and _place(rows),
                "teacher": teacher and _place(teacher), "arm": name, "test": test}
        online = arm.distillation and teacher is None and isinstance(arm.distillation.teacher, OnlineTeacher)
        return Piece.of(RANKER, f"{name}-seed{seed}{'' if test else '-trial'}", decides, task,
                        tuple(piece for piece in (dataset, rows, teacher) if piece),
                        work=config.ranking.epochs * (2 if online else 1) + 0.5)

    def embeddings(self, config: Config) -> Piece:
        """Pretrained rows of a configuration and its seed."""
        dataset = self.dataset(config)
        decides = {"dataset": self._dataset_name(dataset), "seed": config.seed, "training": _deciding(config),
                   "pretraining": config.pretraining.model_dump(mode="json")}
        task = {"config": self._sections(config, *BUILT, "training", "pretraining", "seed"),
                "dataset": self._place(dataset)}
        return Piece.of(EMBEDDINGS, f"epochs{config.pretraining.epochs}-seed{config.seed}", decides, task,
                        (dataset,) if dataset else (), work=config.pretraining.epochs + 0.5)

    def dataset(self, config: Config) -> Piece | None:
        """What the Beam jobs build for a configuration; None where the dataset is given."""
        if self._given:
            return None
        tree = config.resolved()
        decides = {"logs": self.logs.name if self.logs else self._fingerprint, **{name: tree[name] for name in BUILT}}
        task = {"config": self._sections(config, *BUILT),
                "logs": _place(self.logs) if self.logs else {"folder": str(self._raw)}}
        return Piece.of(DATASET, "dataset", decides, task, (self.logs,) if self.logs else ())

    def dataset_folder(self, config: Config, root: Path) -> Path:
        """Where the dataset of a configuration lies."""
        piece = self.dataset(config)
        return piece.folder(root) if piece else self._raw

    def settings_digest(self, config: Config, teacher: Config | None) -> str:
        """Names an arm's settings, whatever the seed."""
        dataset, folded = self.dataset(config), _folded(config)
        [arm] = folded.ranking.arms.values()
        return json_digest([
            self._dataset_name(dataset), folded.ranking.model_dump(mode="json"), _deciding(config),
            config.pretraining.model_dump(mode="json") if arm.pretrained_tables else None,
            self.settings_digest(teacher, None) if teacher else None])

    @property
    def _raw(self) -> Path:
        assert self._data is not None  # see check_data
        return self._data.resolve()

    def _read_base(self) -> dict[str, Any]:
        name = self._experiment.config
        if name is None:
            assert self._given is not None  # the definition asks for it
            return apply_overrides(self._given.info["config"], (), origin=str(self._given.folder))
        source = name if name in BUNDLED else str(self._path.parent / name)
        return apply_overrides(read_yaml(source), (), origin=source)

    def _shared_settings(self) -> Settings:
        return {key: value for key, value in self._experiment.set.items() if not key.startswith(OWN)}

    def _with(self, tree: Mapping[str, Any], settings: Settings, where: str) -> dict[str, Any]:
        changed = copy.deepcopy(dict(tree))
        for key, value in _sections_first(settings).items():
            set_key(changed, key, copy.deepcopy(value), f"experiment {str(self._path)!r}: {where}: {key}")
        return changed

    def _sections(self, config: Config, *names: str) -> dict[str, Any]:
        """The shared configuration with some sections of another: no more than decides the piece."""
        tree = config.resolved()
        return {**self.config.resolved(), **{name: tree[name] for name in names}}

    def _check_given(self, config: Config, arm: str) -> None:
        if self._given is None:
            return
        built = {"schema": self._given.schema.model_dump(mode="json"),
                 "windows": self._given.windows.model_dump(mode="json")}
        for section, there in built.items():
            difference = first_difference(there, config.resolved()[section], section)
            if difference:
                raise UserError(f"experiment {str(self._path)!r}: arm {arm!r} needs another dataset than --data, first "
                                f"in {difference}: give the logs instead (logs: {{source: raw}})")

    def _dataset_name(self, dataset: Piece | None) -> str | None:
        return dataset.name if dataset else self._fingerprint

    def _place(self, dataset: Piece | None) -> dict[str, str]:
        return _place(dataset) if dataset else {"folder": str(self._raw)}


def _sections_first(settings: Settings) -> Settings:
    """The settings in an order in which no section replaces one of its own keys."""
    return dict(sorted(settings.items(), key=lambda setting: setting[0].count(".")))


def _place(piece: Piece) -> dict[str, str]:
    return {"kind": piece.kind, "name": piece.name}


def _deciding(config: Config) -> dict[str, Any]:
    return config.training.model_dump(mode="json", include=set(TRAINING))


def _folded(config: Config) -> Config:
    """The same with the arm's own epochs and rates written into ``ranking``: one way to say each thing."""
    [(name, arm)] = config.ranking.arms.items()
    bare = arm.model_copy(update=dict.fromkeys(Overrides.model_fields))
    ranking = config.ranking.for_arm(arm).model_copy(update={"arms": {name: bare}})
    return config.model_copy(update={"ranking": ranking})
