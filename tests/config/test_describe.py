"""The configuration as described YAML: complete, readable again, with the keys of kinds that are not chosen."""

import re

import pytest
import yaml

from tfrs_pretrain.config import load_config, parse_config
from tfrs_pretrain.config.describe import described_yaml


def described(*overrides):
    return described_yaml(load_config("completejourney", overrides))


@pytest.mark.parametrize("overrides", [
    (), ("ranking.arms.scratch.meda={}", "ranking.arms.scratch.epochs=2"),
    ("windows={pretrain: {start: 2020-01-01, end: 2020-02-01}, train: {start: 2020-02-01, end: 2020-02-02}, "
     "validation: {start: 2020-02-02, end: 2020-02-03}, test: {start: 2020-02-03, end: 2020-02-04T06:00:00}}",),
    ("ranking.arms={'no': {tables: {user: frozen}}}", "export.arm='no'",
     "schema.history={length: 3}", "name='yes'",
     "pretraining.objective={kind: cosine_contrastive, negatives: {count: 2}}"),
])
def test_the_text_reads_back_as_the_configuration(overrides):
    config = load_config("completejourney", overrides)
    assert parse_config(yaml.safe_load(described_yaml(config)), origin="described") == config


def test_every_key_stands_below_its_description():
    lines = described().splitlines()
    assert lines[:4] == ["# model name: the folder under saved_models/", "name: completejourney_ranker",
                         "# of everything random: tables, order, dropout, exposures of the demo", "seed: 17"]
    place = lines.index("    temperature: 0.07")
    assert lines[place - 1] == "    # divides the similarity"
    assert "  - {name: log_price, " in described()
    assert "  # log1p: " in described()


def test_a_description_is_not_repeated():
    comments = [line.strip() for line in described().splitlines() if "L2 penalty on the table rows of a batch" in line]
    assert len(comments) == 2  # ranking.embedding_l2 and that of an arm
    assert described().count("embedding_l2: ") == 5  # both, in pretraining and in each of three arms


def test_other_kinds_are_listed_with_their_keys_once():
    text = described()
    assert "    #   cosine_contrastive: A margin on cosines against uniform negatives" in text
    assert "    #     margin: 0.4 - cosine up to which a negative costs nothing" in text
    assert "    #     negatives: required - draws that the positive item is compared with" in text
    assert len(re.findall("trainable_from_step: required", text)) == 1
    assert "#   softmax:" not in text
    assert "#   continual: One group of tables for each epoch" in text


def test_the_chosen_kind_comes_first():
    text = described("pretraining.objective={kind: cosine_contrastive, negatives: {count: 2}}")
    assert "    negatives:\n      # which negatives\n      kind: in_batch\n" in described()
    assert "  objective:\n    # which loss\n    kind: cosine_contrastive\n    # cosine up to" in text
    assert "    #     negatives: in_batch - candidates beside the positive item" in text
