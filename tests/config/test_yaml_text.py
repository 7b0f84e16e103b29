"""YAML values that do not fit their type, deep nesting and repeated keys: each is one line, from files and --set."""

import datetime

import pytest
import yaml

from tfrs_pretrain.config.load import apply_override, read_yaml
from tfrs_pretrain.config.yaml_text import MAX_DEPTH, parse_yaml
from tfrs_pretrain.errors import UserError

BAD_VALUES = [
    ("2024-02-30", "'2024-02-30' is not a valid timestamp (day is out of range for month)"),
    ("2024-05-06T25:61:00", "'2024-05-06T25:61:00' is not a valid timestamp (hour must be in 0..23)"),
    ("0000-01-01", "'0000-01-01' is not a valid timestamp"),
    ("!!timestamp soon", "'soon' is not a valid timestamp"),
    ("!!int x", "'x' is not a valid int"),
    ("!!float x", "'x' is not a valid float"),
    ("!!bool maybe", "'maybe' is not a valid bool"),
    ("!!binary é", "failed to convert base64"),
    ("!!int [1]", "expected a scalar node, but found sequence"),
    ("9" * 100_000, "is not a valid int"),
    ("0x" + "f" * 100_000, "is not a valid int (it does not fit into 64 bits)"),
    (str(2**63), "'9223372036854775808' is not a valid int (it does not fit into 64 bits)"),
    ("[" * 100_000 + "]" * 100_000, "lists and mappings are nested deeper than 50"),
    ("{a: " * 100_000 + "1" + "}" * 100_000, "lists and mappings are nested deeper than 50"),
    ("{a: 1, a: 2}", "key 'a' occurs twice"),
    ("{[1]: 2}", "found unhashable key"),
]


@pytest.mark.parametrize(("value", "words"), BAD_VALUES, ids=lambda text: text[:24])
def test_a_bad_value_is_one_line_in_a_file_and_in_an_override(tmp_path, value, words):
    path = tmp_path / "config.yaml"
    path.write_text(f"seed: 1\nname: {value}\n")
    with pytest.raises(UserError) as in_file:
        read_yaml(str(path))
    with pytest.raises(UserError) as in_override:
        apply_override({}, f"name={value}")
    assert str(in_file.value).startswith(f"configuration {str(path)!r} is not YAML: ")
    assert "line 2, column " in str(in_file.value)
    assert str(in_override.value).startswith(f"--set 'name={value[:5]}")
    for error in (in_file, in_override):
        assert words in str(error.value)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 1500


def test_keys_of_an_override_are_not_nested_deeper_than_values():
    with pytest.raises(UserError, match=f"keys are nested deeper than {MAX_DEPTH}"):
        apply_override({}, ".".join("a" * 100_000) + "=1")


def test_good_values_are_those_of_yaml():
    text = f"""
    day: 2024-02-29
    time: 2024-05-06T23:59:59
    numbers: [{2**63 - 1}, {-2**63 + 1}, 0xff, 1.5e+3, !!int "3"]
    base: &base {{a: 1}}
    merged: {{<<: *base, b: 2}}
    deep: {"[" * 40 + "]" * 40}
    """
    assert parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml(text)["day"] == datetime.date(2024, 2, 29)
    assert parse_yaml(text)["merged"] == {"a": 1, "b": 2}
    with pytest.raises(yaml.YAMLError):
        parse_yaml("{<<: 3}")
