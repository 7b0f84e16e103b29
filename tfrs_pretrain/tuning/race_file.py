"""Write a race as an experiment, whose pieces, seeds and arms are those of ``tfrs-pretrain experiment``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.config import Config
from tfrs_pretrain.tuning.candidates import DEFAULT, Settings

BASE, EXPERIMENT = "base.yaml", "experiment.yaml"


def write_race(output: Path, config: Config, arm: str, candidates: Mapping[str, Settings],
               seeds: Sequence[int]) -> Path:
    """Write ``base.yaml``, the configuration, and ``experiment.yaml``, with one arm for each candidate.

    Args:
      output: folder to write.
      config: configuration of the default.
      arm: name in ``ranking.arms`` of the arm that is tuned.
      candidates: name -> settings.
      seeds: seeds of the last rung.

    Returns:
      path of the experiment.
    """
    arms: dict[str, Any] = {DEFAULT: {}, **{name: {"set": settings} for name, settings in candidates.items()}}
    experiment = {"title": f"Candidates for {config.name}", "config": BASE, "logs": {"source": "dataset"},
                  "seeds": list(seeds), "baseline": DEFAULT,
                  "set": {f"arm.{key}": value for key, value in arm_settings(config, arm).items()}, "arms": arms}
    _write_yaml(output / BASE, config.resolved())
    return _write_yaml(output / EXPERIMENT, experiment)


def arm_settings(config: Config, arm: str) -> dict[str, Any]:
    """Return the settings of an arm that are not defaults, as JSON values."""
    return config.ranking.arms[arm].model_dump(mode="json", exclude_defaults=True)


def _write_yaml(path: Path, tree: Mapping[str, Any]) -> Path:
    write_text(path, yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True))
    return path
