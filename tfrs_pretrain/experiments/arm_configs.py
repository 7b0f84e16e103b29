"""Derive the configurations of an experiment: the one that all arms share, and one for each arm."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.config import BUNDLED, Config, first_difference, parse_config
from tfrs_pretrain.config.load import apply_overrides, read_yaml, set_key
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import Experiment, Settings

ARM_PREFIX = "arm."  # of the keys that belong to the arm's entry in ranking.arms
STREAM_PREFIX = "stream."  # of the keys that say how an arm is carried over the windows of a stream
SHARED = "shared"  # name of the arm in the configuration that all arms share
# Keys that an arm may not set: differences are paired by impression, and the experiment file sets seeds and arms.
SHARED_KEYS = ("name", "seed", "export", "ranking.arms", "windows.validation", "windows.test")


class ArmConfigs:
    """Derives configurations from the settings of an experiment file.

    Args:
      experiment: content of the experiment file.
      path: experiment file.
      provided: dataset of ``--data``. None: the experiment builds its datasets.

    Attributes:
      shared: configuration that all arms share.

    Raises:
      UserError: the shared configuration is invalid.
    """

    def __init__(self, experiment: Experiment, path: Path, provided: Dataset | None):
        self._experiment, self._path, self._provided = experiment, path, provided
        self._base = self._read_base()
        self._base["ranking"] = {**self._base.get("ranking", {}), "arms": {SHARED: {}}}
        self._base["export"] = {"arm": SHARED}
        shared = self._without_stream_keys(_without_arm_keys(experiment.set))
        self.shared = parse_config(self._with(self._base, shared, "set"), origin=str(path))

    def arm_config(self, arm: str, settings: Settings, *, has_teacher: bool = False) -> Config:
        """Return the configuration of one arm, whose only entry in ``ranking.arms`` is named after its transfer.

        Raises:
          UserError: a key is unknown or shared by all arms, or a value is out of range.
        """
        self._refuse_shared_keys(arm, settings)
        merged = self._without_stream_keys(_sections_first({**self._experiment.set, **settings}))
        entry: dict[str, Any] = {"distillation": {}} if has_teacher else {}
        for key, value in merged.items():
            if key.startswith(ARM_PREFIX):
                set_key(entry, key.removeprefix(ARM_PREFIX), copy.deepcopy(value), f"experiment: arm {arm!r}: {key}")
        tree = self._with(self._base, _without_arm_keys(merged), arm)
        transfer = entry.get("transfer", {})
        name = transfer if isinstance(transfer, str) else str(transfer.get("kind", "scratch"))
        tree["ranking"]["arms"], tree["export"]["arm"] = {name: entry}, name
        config = parse_config(tree, origin=f"{self._path}, arm {arm}")
        self._check_provided_dataset(config, arm)
        return config

    def _refuse_shared_keys(self, arm: str, settings: Settings) -> None:
        shared = [key for key in settings if any(f"{key}.".startswith(f"{each}.") for each in SHARED_KEYS)]
        if shared:
            raise UserError(f"experiment {str(self._path)!r}: arm {arm!r} sets {shared[0]!r}, which all arms share: "
                            "set it for all arms, or remove it")

    def _without_stream_keys(self, settings: Settings) -> Settings:
        """Leave out the keys of a stream; an experiment without a stream refuses them as unknown."""
        if self._experiment.stream is None:
            return settings
        return {key: value for key, value in settings.items() if not key.startswith(STREAM_PREFIX)}

    def _read_base(self) -> dict[str, Any]:
        name = self._experiment.config
        if name is None:
            assert self._provided is not None  # checked by Experiment
            return apply_overrides(self._provided.info["config"], (), origin=str(self._provided.folder))
        source = name if name in BUNDLED else str(self._path.parent / name)
        return apply_overrides(read_yaml(source), (), origin=source)

    def _with(self, tree: Mapping[str, Any], settings: Settings, where: str) -> dict[str, Any]:
        changed = copy.deepcopy(dict(tree))
        for key, value in _sections_first(settings).items():
            set_key(changed, key, copy.deepcopy(value), f"experiment {str(self._path)!r}: {where}: {key}")
        return changed

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


def _sections_first(settings: Settings) -> Settings:
    """Sort the settings so that no section replaces one of its keys."""
    return dict(sorted(settings.items(), key=lambda setting: setting[0].count(".")))


def _without_arm_keys(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if not key.startswith(ARM_PREFIX)}
