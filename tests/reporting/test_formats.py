"""Formats of numbers and settings."""

import pytest

from tfrs_pretrain.reporting.text import formats


@pytest.mark.parametrize(("function", "value", "expected"), [
    (formats.number, 0.90576, "0.9058"), (formats.number, None, "—"), (formats.number, float("nan"), "—"),
    (formats.signed, 0.02831, "+0.0283"), (formats.signed, -0.02394, "−0.0239"), (formats.signed, 1e-6, "0.0000"),  # noqa: RUF001
    (formats.signed, -1e-6, "0.0000"), (formats.count, 1469307, "1,469,307"), (formats.percent, 0.12345, "12.3 %"),
    (formats.percent, 0.0001, "<0.1 %"), (formats.percent, 0.0, "0.0 %"), (formats.size, 4.2e9, "4.2 GB"),
    (formats.size, 900, "900 B"), (formats.duration, 252.4, "4 min 12 s"), (formats.duration, 3.14, "3.1 s"),
    (formats.duration, 3600, "1 h"), (formats.spaced, "warm_start", "warm start"),
])
def test_format(function, value, expected):
    assert function(value) == expected


@pytest.mark.parametrize(("settings", "expected"), [
    ({}, "—"), ({"arm.table_learning_rate": 0.01, "arm.transfer": "warm_start"},
                "table learning rate 0.01; transfer warm start"),
    ({"arm.distillation": {"hidden": [8, 4], "weight": 0.3}}, "distillation (hidden 8-4, weight 0.3)"),
    ({"arm.meda": {}}, "meda"), ({"pretraining.learn_temperature": False}, "no pretraining.learn temperature"),
    ({"pretraining.mask": True}, "pretraining.mask"),
])
def test_settings(settings, expected):
    assert formats.settings(settings) == expected


def test_markdown_escapes_special_characters():
    assert formats.markdown("a|b_c\n<i>*[x]") == r"a\|b\_c \<i\>\*\[x\]"
