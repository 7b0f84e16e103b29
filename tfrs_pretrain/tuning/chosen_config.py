"""The configuration that a race chose."""

from __future__ import annotations

import copy
from typing import Any

from tfrs_pretrain.config import Config, parse_config
from tfrs_pretrain.config.load import set_key
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arm_configs import ARM_PREFIX
from tfrs_pretrain.tuning.candidates import Settings
from tfrs_pretrain.tuning.race_file import arm_settings

TUNED = "tuned"  # name of the arm with the chosen settings


def chosen_config(config: Config, arm: str, settings: Settings, origin: str) -> Config:
    """Return a configuration with an arm ``tuned``, which is exported.

    The other arms stay, unless the settings, such as another dimension, do not fit one of them.

    Args:
      config: the configuration of the default.
      arm: name of the arm that was tuned.
      settings: dotted key -> value; keys below ``arm.`` belong to the arm.
      origin: name of the result for messages.
    """
    tree, entry = config.resolved(), arm_settings(config, arm)
    for key in sorted(settings, key=lambda key: key.count(".")):  # no section replaces one of its keys
        value, own = copy.deepcopy(settings[key]), key.startswith(ARM_PREFIX)
        set_key(entry if own else tree, key.removeprefix(ARM_PREFIX), value, f"{origin}: {key}")
    try:
        return _with_arms(tree, {**tree["ranking"]["arms"], TUNED: entry}, origin)
    except UserError:
        return _with_arms(tree, {TUNED: entry}, origin)


def _with_arms(tree: dict[str, Any], arms: dict[str, Any], origin: str) -> Config:
    ranking, export = tree["ranking"] | {"arms": arms}, tree["export"] | {"arm": TUNED}
    return parse_config(tree | {"ranking": ranking, "export": export}, origin=origin)
