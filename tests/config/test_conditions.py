"""Conditions on columns: literal forms, and what is refused."""

import pytest
from planted import planted_config

from tfrs_pretrain.config import Condition, Config


@pytest.mark.parametrize(("text", "expected"), [
    ("rating >= 4", Condition("rating", ">=", 4.0)),
    ("rating>3.5", Condition("rating", ">", 3.5)),
    (" watch share < -1e-3 ", Condition("watch share", "<", -0.001)),
    ("event == purchase", Condition("event", "==", "purchase")),
    ("event != 'add to cart'", Condition("event", "!=", "add to cart")),
    ('code == "5"', Condition("code", "==", "5")),
    ("zip == 05", Condition("zip", "==", 5.0)),
])
def test_a_condition_has_a_column_an_operator_and_a_value(text, expected):
    assert Condition.parse(text) == expected


@pytest.mark.parametrize("text", ["rating", "rating = 4", ">= 4", "rating >=", "rating => 4", "", "== =="])
def test_other_forms_are_refused(text):
    with pytest.raises(ValueError, match="is no condition: expected a column, one of >=, <=, >, <, ==, != and a value"):
        Condition.parse(text)


def test_texts_have_no_order():
    with pytest.raises(ValueError, match="'event > view' compares text with >: texts have == and != only"):
        Condition.parse("event > view")


@pytest.mark.parametrize(("sources", "message"), [
    ({"impressions": {"path": "x", "labels": {"liked": "rating >= 4"}}},
     r"computes \['liked'\], but schema.label is 'clicked' and schema.labels are \[\]"),
    ({"impressions": {"path": "x", "labels": {"clicked": "rating"}}}, "'rating' is no condition"),
    ({"engagements": {"path": "x", "labels": {"clicked": "rating >= 4"}}}, "engagements.labels: only impressions have"),
    ({"items": {"path": "x", "where": "price > 0"}}, "items.where: only engagements and impressions are selected"),
])
def test_conditions_without_a_use_are_refused(sources, message):
    with pytest.raises(ValueError, match=message):
        Config.model_validate(planted_config(dataset={"sources": sources}))
