"""Differences of configurations, against literals."""

import pytest

from tfrs_pretrain.results.config_differences import config_differences


@pytest.mark.parametrize(("base", "other", "expected"), [
    ({"a": 1}, {"a": 1}, {}),
    ({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 2, "b": {"c": 2, "d": 4}}, {"x.a": 2, "x.b.d": 4}),
    ({"a": 1}, {}, {"x.a": None}),
    ({}, {"a": 1}, {"x.a": 1}),
    ({"a": [1, 2]}, {"a": [1, 3]}, {"x.a": [1, 3]}),
    ({"a": None}, {"a": {"b": 1}}, {"x.a": {"b": 1}}),
    ({"kind": "p", "q": 1, "r": 2}, {"kind": "s", "r": 3}, {"x.kind": "s", "x.r": 3}),  # q belongs to the other kind
    ({"kind": "p", "q": 1}, {"kind": "p"}, {"x.q": None}),
])
def test_differences_are_dotted_keys_with_the_other_value(base, other, expected):
    assert dict(config_differences(base, other, "x")) == expected
