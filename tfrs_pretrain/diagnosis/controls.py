"""Runs that a diagnosis compares: the configured ranker, and the same with one change to its ID tables."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.config import ArmConfig, Config, WarmStartTransfer

BASE = "as configured"
WITHOUT_USER, WITHOUT_ITEM, WITHOUT_IDS = "without user ids", "without item ids", "without ids"
FROZEN, NEW_TABLES, PRETRAINED = "random rows, frozen", "new rows at the border", "pretrained rows"
# Control that omits an ID space -> that space.
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
    """Replace the arms by one for each control: all from scratch except the pretrained one, all without a teacher.

    Pretrained rows have the learning rate scale of the first configured arm with a warm start. It is the scale of all
    rows: rows that few engagements determine memorize labels at a larger rate, which is not an effect of pretraining.
    """
    warm = next((arm.transfer for arm in config.ranking.arms.values() if isinstance(arm.transfer, WarmStartTransfer)),
                WarmStartTransfer())
    changes = CHANGES | {PRETRAINED: {"transfer": WarmStartTransfer(
        pretrained_learning_rate_scale=warm.pretrained_learning_rate_scale, shrinkage=None, evidence=None,
        cold_rows="random")}}
    arms = {name: ArmConfig.model_validate({"epochs": epochs, **change}) for name, change in changes.items()}
    return config.model_copy(update={"ranking": config.ranking.model_copy(update={"arms": arms})})
