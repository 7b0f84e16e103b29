"""The text-format editor against protobuf's own parser."""

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from tfrs_pretrain.serving.labels.text_edit import Field, fields, replace_fields

NAMES = st.text(max_size=12)


def test_fields_of_every_form():
    text = "a: 1, b { c: 2 { d: 3 } } e:'x }' ; # f: 4 {\ng: [1]"
    found = list(fields(text))
    assert [field.name for field in found[:3]] == ["a", "b", "e"]
    assert text[found[0].start:found[0].end] == "a: 1"
    assert found[0].body is None
    assert text[slice(*found[1].body)] == " c: 2 { d: 3 } "
    assert text[found[1].start:found[1].end] == "b { c: 2 { d: 3 } }"
    assert text[found[2].start:found[2].end] == "e:'x }'"


def test_nested_fields_are_not_listed():
    assert [field.name for field in fields("a { b: 1 c { d: 2 } } e: 3")] == ["a", "e"]
    assert list(fields("  # only a comment { x: 1 }\n ")) == []


def test_positions_are_those_of_the_text():
    assert list(fields('x: "y"')) == [Field("x", 0, 6, None)]
    assert list(fields("m{}")) == [Field("m", 0, 3, (2, 2))]


ENTRIES = st.lists(st.tuples(st.sampled_from(["name", "base_path", "model_platform"]), NAMES), max_size=3,
                   unique_by=lambda entry: entry[0])


@given(kept=ENTRIES, labels=st.dictionaries(NAMES, st.integers(0, 9), min_size=1, max_size=3), one_line=st.booleans())
def test_replaced_fields_go_and_all_others_stay(kept, labels, one_line):
    """Strings with any characters, printed by protobuf in both of its forms."""
    message = ModelConfig(**dict(kept))
    message.version_labels.update(labels)
    body = text_format.MessageToString(message, as_one_line=one_line, as_utf8=True)
    edited = text_format.Parse(replace_fields(body, ["version_labels"], ['version_labels { key: "new" value: 7 }']),
                               ModelConfig())
    message.version_labels.clear()
    message.version_labels["new"] = 7
    assert edited == message


@pytest.mark.parametrize(("body", "expected"), [
    ('\n  name: "a"\n  version_labels { key: "x" value: 1 }\n', '\n  name: "a"\n  NEW\n'),
    ('\n  version_labels { key: "x" value: 1 }\n  name: "a"\n', '\n  name: "a"\n  NEW\n'),
    ('name: "a", version_labels { key: "x" value: 1 }, base_path: "b"', 'name: "a", base_path: "b"\n    NEW '),
    ('\n\tname: "a"  # first\n', '\n\tname: "a"  # first\n\tNEW\n'),
    ('\n  name: "a"\n  version_labels {\n    key: "x"\n  };\n  base_path: "b"\n',
     '\n  name: "a"\n  base_path: "b"\n  NEW\n'),
    ('\n  name: "a" version_labels { key: "x" value: 1 }\n  base_path: "b"\n',
     '\n  name: "a" \n  base_path: "b"\n  NEW\n')],
    ids=["last line", "first line", "one line", "no such field", "several lines", "end of another field's line"])
def test_lines_and_indentation(body, expected):
    assert replace_fields(body, ["version_labels"], ["NEW"]) == expected
