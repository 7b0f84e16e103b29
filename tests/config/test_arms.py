"""Arms of the ranker: which settings fit together, which are refused, and in which words."""

import pytest

from tfrs_pretrain.config import load_config, parse_config
from tfrs_pretrain.errors import UserError


def arm(text):
    return load_config("completejourney", [f"ranking.arms.new={text}"]).ranking.arms["new"]


def refusal(text):
    with pytest.raises(UserError) as caught:
        arm(text)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_plain_string_is_that_kind_for_both_id_tables():
    warm = arm("{transfer: warm_start}")
    assert {table: transfer.kind for table, transfer in warm.pretrained_tables.items()} == {
        "user": "warm_start", "item": "warm_start"}
    assert warm.transfer.pretrained_learning_rate_scale == 0.3
    assert arm("{}").transfer.kind == "scratch"
    assert arm("{}").pretrained_tables == {}


def test_a_named_table_has_settings_of_its_own():
    mixed = arm("{transfer: {kind: frozen, pretrained_dropout: 0.5}, tables: {user: {kind: warm_start, fresh_dim: 8}}}")
    user, item = mixed.pretrained_tables["user"], mixed.pretrained_tables["item"]
    assert (user.kind, user.pretrained_dropout, user.fresh_dim) == ("warm_start", 0.0, 8)
    assert (item.kind, item.pretrained_dropout, item.fresh_dim) == ("frozen", 0.5, 0)
    assert list(arm("{transfer: frozen, tables: {user: scratch}}").pretrained_tables) == ["item"]


def test_an_arm_overrides_training_settings_and_null_keeps_them():
    config = load_config("completejourney", [
        "ranking.arms.new={epochs: 4, embedding_l2: 0.0, schedule: linear, learning_rate: 0.1}",
        "ranking.embedding_l2=0.5", "ranking.warmup_steps=3"])
    own = config.ranking.for_arm(config.ranking.arms["new"])
    assert (own.epochs, own.embedding_l2, own.schedule, own.learning_rate) == (4, 0.0, "linear", 0.1)
    assert own.warmup_steps == 3
    assert (own.table_learning_rate, own.interval_decay) == (config.ranking.table_learning_rate, 0.0)
    assert config.ranking.for_arm(config.ranking.arms["scratch"]) == config.ranking


@pytest.mark.parametrize("text", [
    "{epochs: 3, meda: {kind: continual, chunks: 2}, early_stopping: {metric: auc, patience: 2}}",
    "{transfer: {kind: frozen_then_trainable, trainable_from_step: 9}, anchor: {weight: 0.1}, "
    "distillation: {teacher: {kind: fixed, path: here}}}",
    "{distillation: {teacher: {hidden: [8], backbone: {kind: dcn_v2, rank: 3}, privileged: false}}}",
    "{transfer: random, tables: {item: absent}}",
])
def test_resolved_arms_read_back_equal(text):
    config = load_config("completejourney", [f"ranking.arms.new={text}"])
    assert parse_config(config.resolved(), origin="stored") == config


def test_an_empty_distillation_has_an_online_teacher():
    teacher = arm("{distillation: {}}").distillation.teacher
    assert (teacher.kind, teacher.hidden, teacher.backbone, teacher.privileged) == ("online", (256, 128), None, True)


def test_a_dump_without_defaults_keeps_the_kind():
    changed = arm("{transfer: {kind: frozen, fresh_dim: 8}, epochs: 2, meda: null}").model_dump(exclude_defaults=True)
    assert changed == {"transfer": {"kind": "frozen", "fresh_dim": 8}, "epochs": 2}
    assert arm("{transfer: warm_start}").model_dump(exclude_defaults=True) == {"transfer": {"kind": "warm_start"}}
    assert arm("{}").model_dump(exclude_defaults=True) == {}


def test_similarity_takes_one_word_or_several():
    words = {text: load_config("completejourney", [f"ranking.similarity={text}"]).ranking.similarity
             for text in ("none", "dot", "[dot, norms]")}
    assert words == {"none": (), "dot": ("dot",), "[dot, norms]": ("dot", "norms")}


@pytest.mark.parametrize(("kind", "key"), [
    ("scratch", "pretrained_learning_rate_scale"), ("scratch", "pretrained_dropout"), ("scratch", "fresh_dim"),
    ("random", "fresh_dim"), ("absent", "pretrained_dropout_of"), ("frozen", "pretrained_learning_rate_scale"),
    ("frozen", "trainable_from_step"), ("warm_start", "trainable_from_step"),
])
def test_a_transfer_refuses_the_keys_of_other_kinds(kind, key):
    message = refusal(f"{{transfer: {{kind: {kind}, {key}: 1}}}}")
    assert f"unknown key 'ranking.arms.new.transfer.{key}'; kind {kind!r} has no such key" in message
    assert f"'ranking.arms.new.tables.item.{key}'" in refusal(f"{{tables: {{item: {{kind: {kind}, {key}: 1}}}}}}")


@pytest.mark.parametrize("key", ["hidden: [8]", "privileged: true", "backbone: mlp"])
def test_a_fixed_teacher_refuses_the_keys_of_an_online_one(key):
    message = refusal(f"{{distillation: {{teacher: {{kind: fixed, path: here, {key}}}}}}}")
    assert "unknown key 'ranking.arms.new.distillation.teacher." in message
    assert "kind 'fixed' has no such key" in message


@pytest.mark.parametrize(("text", "words"), [
    ("{transfer: frozen_then_trainable}", "new.transfer.trainable_from_step: Field required"),
    ("{transfer: {kind: warm_start, pretrained_dropout: 1.0}}", "transfer.pretrained_dropout: Input should be less"),
    ("{transfer: cold}", "new.transfer: unknown kind 'cold': expected 'scratch', 'random', 'absent', 'warm_start'"),
    ("{distillation: {teacher: fixed}}", "new.distillation.teacher.path: Field required"),
    ("{distillation: {teacher: {path: here}}}", "'ranking.arms.new.distillation.teacher.path'; kind 'online' has no"),
    ("{anchor: {weight: 1}}", "anchor needs pretrained rows that are trained"),
    ("{transfer: frozen, anchor: {weight: 1}}", "anchor needs pretrained rows that are trained"),
    ("{transfer: frozen, epochs: 2, meda: {}}", "which a frozen table cannot have"),
    ("{transfer: random, epochs: 2, meda: {}}", "which a frozen table cannot have"),
    ("{tables: {item: absent}, epochs: 2, meda: {}}", "which a frozen table cannot have"),
    ("{epochs: 2, meda: {kind: non_continual, chunks: 3}}", "new.meda.chunks'; kind 'non_continual' has no such key"),
    ("{epochs: 2, meda: continual}", "new.meda.chunks: Field required"),
    ("{meda: {}}", "arms.new has meda, which makes no difference in one epoch"),
    ("{early_stopping: {}}", "arms.new has early_stopping, which makes no difference in one epoch"),
    ("{tables: {shop: {}}}", "ranking.arms.new.tables.shop"),
])
def test_contradictions_are_refused_in_one_line(text, words):
    assert words in refusal(text)


def test_an_anchor_needs_one_trainable_pretrained_table():
    assert arm("{transfer: frozen, tables: {item: warm_start}, anchor: {weight: 1}}").anchor.weight == 1


def test_a_table_that_is_transferred_needs_the_pretrained_width():
    with pytest.raises(UserError, match=r"must equal pretraining.dim 64 because \['new'\] start"):
        load_config("completejourney", ["ranking.id_dim=32", "ranking.arms={new: {tables: {item: frozen}}}",
                                        "export.arm=new"])
    assert load_config("completejourney", ["ranking.id_dim=32", "ranking.arms={new: {}}", "export.arm=new"])
