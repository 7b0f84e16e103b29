"""Arms of the ranker: what goes together, what is refused, in which words."""

import pytest

from tfrs_pretrain.config import load_config, parse_config
from tfrs_pretrain.errors import UserError


def arm(text):
    return load_config("completejourney", [f"ranking.arms.new={text}"]).ranking.arms["new"]


def test_short_form_holds_for_both_id_tables():
    assert {space: table.transfer for space, table in arm("{transfer: warm_start}").pretrained_tables.items()} == {
        "user": "warm_start", "item": "warm_start"}
    assert arm("{}").pretrained_tables == {}


def test_a_named_table_has_settings_of_its_own():
    mixed = arm("{transfer: frozen, pretrained_dropout: 0.5, tables: {user: {transfer: warm_start, fresh_dim: 8}}}")
    user, item = mixed.pretrained_tables["user"], mixed.pretrained_tables["item"]
    assert (user.transfer, user.pretrained_dropout, user.fresh_dim) == ("warm_start", 0.0, 8)
    assert (item.transfer, item.pretrained_dropout, item.fresh_dim) == ("frozen", 0.5, 0)
    assert list(arm("{transfer: frozen, tables: {user: {transfer: scratch}}}").pretrained_tables) == ["item"]


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
    "{epochs: 3, meda: {variant: continual, chunks: 2}, early_stopping: {metric: auc, patience: 2}}",
    "{transfer: frozen_then_trainable, trainable_from_step: 9, anchor: {weight: 0.1}, distillation: {teacher: here}}",
])
def test_resolved_configuration_reads_back_equal(text):
    config = load_config("completejourney", [f"ranking.arms.new={text}"])
    assert parse_config(config.resolved(), origin="stored") == config


def test_similarity_takes_one_word_or_several():
    words = {text: load_config("completejourney", [f"ranking.similarity={text}"]).ranking.similarity
             for text in ("none", "dot", "[dot, norms]")}
    assert words == {"none": (), "dot": ("dot",), "[dot, norms]": ("dot", "norms")}


@pytest.mark.parametrize(("text", "words"), [
    ("{transfer: frozen_then_trainable}", "frozen_then_trainable needs a step"),
    ("{transfer: frozen, trainable_from_step: 5}", "'frozen' does not go with trainable_from_step 5"),
    ("{pretrained_dropout: 0.5}", "'scratch' has no pretrained rows for pretrained_dropout"),
    ("{tables: {user: {fresh_dim: 8}}}", "'scratch' has no pretrained rows for pretrained_dropout or fresh_dim"),
    ("{transfer: warm_start, pretrained_dropout: 1.0}", "less than 1"),
    ("{anchor: {weight: 1}}", "anchor holds pretrained rows that learn"),
    ("{transfer: frozen, anchor: {weight: 1}}", "anchor holds pretrained rows that learn"),
    ("{transfer: frozen, epochs: 2, meda: {}}", "which a frozen table does not take"),
    ("{epochs: 2, meda: {chunks: 3}}", "'non_continual' does not go with chunks 3"),
    ("{epochs: 2, meda: {variant: continual}}", "continual needs a number"),
    ("{meda: {}}", "arms.new has meda, which makes no difference in one epoch"),
    ("{early_stopping: {}}", "arms.new has early_stopping, which makes no difference in one epoch"),
    ("{tables: {shop: {}}}", "ranking.arms.new.tables.shop"),
    ("{transfer: cold}", "ranking.arms.new.transfer"),
])
def test_contradictions_are_refused_in_one_line(text, words):
    with pytest.raises(UserError) as caught:
        arm(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_transferred_needs_the_pretrained_width():
    with pytest.raises(UserError, match=r"must equal pretraining.dim 64 because \['new'\] start"):
        load_config("completejourney", ["ranking.id_dim=32", "ranking.arms={new: {tables: {item: {transfer: frozen}}}}",
                                        "export.arm=new"])
