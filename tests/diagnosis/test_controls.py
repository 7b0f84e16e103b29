"""The arms that a diagnosis compares."""

from planted import planted_config

from tfrs_pretrain.config import Config
from tfrs_pretrain.diagnosis.controls import (
    BASE,
    CHANGES,
    FROZEN,
    NEW_TABLES,
    PRETRAINED,
    WITHOUT_IDS,
    WITHOUT_ITEM,
    WITHOUT_USER,
    with_arms,
)


def controls(arms=None, epochs=3):
    tree = planted_config(seed=1)
    if arms:
        tree["ranking"]["arms"] = arms
        tree["export"] = {"arm": next(iter(arms))}
    return with_arms(Config.model_validate(tree), epochs).ranking.arms


def test_every_control_is_an_arm_without_a_teacher_and_with_the_given_epochs():
    arms = controls()
    assert list(arms) == list(CHANGES)
    assert {arm.epochs for arm in arms.values()} == {3}
    assert {arm.distillation for arm in arms.values()} == {None}


def test_each_control_changes_one_thing():
    kinds = {name: tuple(arm.table_transfer(space).kind for space in ("user", "item"))
             for name, arm in controls().items()}
    assert kinds == {
        BASE: ("scratch", "scratch"), WITHOUT_USER: ("absent", "scratch"), WITHOUT_ITEM: ("scratch", "absent"),
        WITHOUT_IDS: ("absent", "absent"), FROZEN: ("random", "random"), NEW_TABLES: ("scratch", "scratch"),
        PRETRAINED: ("warm_start", "warm_start")}
    assert [name for name, arm in controls().items() if arm.meda is not None] == [NEW_TABLES]


def test_pretrained_rows_are_trained_as_in_the_first_warm_arm():
    warm = {"kind": "warm_start", "pretrained_learning_rate_scale": 0.25}
    arms = controls({"scratch": {}, "slow": {"transfer": warm}, "fast": {"transfer": {
        "kind": "warm_start", "pretrained_learning_rate_scale": 0.75}}})
    transfer = arms[PRETRAINED].table_transfer("user")
    assert (transfer.pretrained_learning_rate_scale, transfer.evidence, transfer.shrinkage) == (0.25, None, None)
