"""The runs that a diagnosis compares: the ranker as it is, and the same with one thing changed about its ID tables."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.config import ArmConfig, Config, WarmStartTransfer

BASE = "as configured"
WITHOUT_USER, WITHOUT_ITEM, WITHOUT_IDS = "without user ids", "without item ids", "without ids"
FROZEN, NEW_TABLES, PRETRAINED = "random rows, frozen", "new rows at the border", "pretrained rows"
# Control without an ID space -> that space.
DROPPED = {WITHOUT_USER: "user", WITHOUT_ITEM: "item"}

_ABSENT = "absent"
CHANGES: dict[str, dict[str, Any]] = {
    BASE: {},
    WITHOUT_USER: {"tables": {"user": _ABSENT}},
    WITHOUT_ITEM: {"tables": {"item": _ABSENT}},
    WITHOUT_IDS: {"transfer": _ABSENT},
    FROZEN: {"transfer": "random"},
    NEW_TABLES: {"meda": {}},
    PRETRAINED: {},
}


def with_arms(config: Config, epochs: int) -> Config:
    """The configuration with one arm for each control, all from scratch but the pretrained one, without a teacher.

    Pretrained rows learn as those of the configuration's first arm that starts at them.
    """
    warm = next((arm.transfer for arm in config.ranking.arms.values() if isinstance(arm.transfer, WarmStartTransfer)),
                WarmStartTransfer())
    changes = CHANGES | {PRETRAINED: {"transfer": WarmStartTransfer(
        pretrained_learning_rate_scale=warm.pretrained_learning_rate_scale)}}
    arms = {name: ArmConfig.model_validate({"epochs": epochs, **change}) for name, change in changes.items()}
    return config.model_copy(update={"ranking": config.ranking.model_copy(update={"arms": arms})})
