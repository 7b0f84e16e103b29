"""The likeliest reason why pretraining does not pay: one literal case for each line of the table, and their order."""

import pytest

from tfrs_pretrain.ranking.benefit.facts import TransferFacts
from tfrs_pretrain.ranking.benefit.reasons import RULES, likeliest_reason

GOOD = {"coverage": {"user": 0.9, "item": 0.8}, "engagements_per_id": {"user": 40.0, "item": 160.0}, "age": 0.0,
        "pretrain_length": 20.0}


@pytest.mark.parametrize(("changes", "name", "text"), [
    ({"coverage": {"user": 0.9, "item": 0.31}}, "coverage",
     "only 31% of the training impressions have a pretrained item"),
    ({"coverage": {"user": 0.6999}}, "coverage", "only 70% of the training impressions have a pretrained user"),
    ({"age": 5.5}, "age", "the last engagement is 5.5 days older than the first training impression"),
    ({"age": 6, "age_unit": "week"}, "age",
     "the last engagement is 6 steps of week older than the first training impression"),
    ({"engagements_per_id": {"user": 40.0, "item": 4.0}}, "few_engagements",
     "half of the items have at most 4 engagements"),
    ({"cold_r2": {"item": 0.012}}, "cold_rows",
     "20% of the training impressions have a new item, and side features hardly predict its row (R² 0.012)"),
    ({"cold_r2": {"user": None, "item": 0.2}}, "cold_rows",
     "10% of the training impressions have a new user, and it has no side features to predict its row from"),
])
def test_each_reason_has_its_numbers_and_its_remedy(changes, name, text):
    reason = likeliest_reason(TransferFacts(**GOOD | changes))
    assert (reason.name, reason.text) == (name, text)
    assert reason.advice == next(rule.advice for rule in RULES if rule.name == name)


@pytest.mark.parametrize("changes", [
    {}, {"coverage": {"user": 0.7, "item": 0.7}}, {"age": 5.0}, {"age": None}, {"engagements_per_id": {"user": 10.0}},
    {"engagements_per_id": {}}, {"cold_r2": {"item": 0.05}}, {"coverage": {"user": 1.0}, "cold_r2": {"user": 0.0}},
    {"coverage": {}, "cold_r2": {"user": 0.0}},
])
def test_values_at_the_limits_are_no_reason(changes):
    reason = likeliest_reason(TransferFacts(**GOOD | changes))
    assert reason.name == "unknown"
    assert "temperature" in reason.advice


def test_the_first_supported_reason_of_the_table_is_named():
    bad = {"coverage": {"user": 0.1, "item": 0.2}, "age": 9.0, "engagements_per_id": {"user": 2.0},
           "cold_r2": {"user": 0.0}}
    names = []
    for key in ("coverage", "age", "engagements_per_id", "cold_r2"):
        names.append(likeliest_reason(TransferFacts(**GOOD | bad)).name)
        bad |= {key: GOOD.get(key, {})}
    assert names == ["coverage", "age", "few_engagements", "cold_rows"]
