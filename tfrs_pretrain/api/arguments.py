"""Arguments in the forms that callers have: a configuration or its file, an opened artifact or its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain import config as configuration
from tfrs_pretrain.config import Config, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.run_config import check_config, stored_config

PathLike = str | os.PathLike[str]
ConfigLike = Config | PathLike | Mapping[str, Any]
DatasetLike = Dataset | PathLike


def load_config(config: ConfigLike, overrides: Sequence[str] = ()) -> Config:
    """Reads a configuration and validates it.

    Args:
      config: a YAML file, the name of a bundled configuration ("completejourney"), a mapping with the file's content,
        or a ``Config``.
      overrides: changes of single keys, such as ``["pretraining.epochs=3"]``; the values are YAML.

    Raises:
      UserError: the file cannot be read, a key is unknown, or a value is out of its range.
    """
    if isinstance(config, Config):
        return parse_config(config.resolved(), overrides, origin=config.name) if overrides else config
    if isinstance(config, Mapping):
        return parse_config(config, overrides, origin="a mapping")
    return configuration.load_config(os.fspath(config), overrides)


def as_dataset(dataset: DatasetLike) -> Dataset:
    """Returns a dataset, opened if it is a folder."""
    return dataset if isinstance(dataset, Dataset) else Dataset.open(Path(dataset))


def run_config(dataset: Dataset, config: ConfigLike | None, overrides: Sequence[str]) -> Config:
    """Returns the configuration of a run on a dataset: the given one, or the one that the dataset was built with.

    Raises:
      UserError: it is invalid, or the dataset was built with other columns or windows.
    """
    settings = stored_config(dataset, overrides) if config is None else load_config(config, overrides)
    check_config(settings, dataset)
    return settings


def optional_path(path: PathLike | None) -> Path | None:
    """Returns a path, or None."""
    return None if path is None else Path(path)
