"""YAML files and ``--set`` overrides as trees, and the one line that names what is wrong with them."""

import pytest

from tfrs_pretrain.config import BUNDLED, first_difference, load_config, parse_config
from tfrs_pretrain.config.load import apply_override, read_yaml, set_key
from tfrs_pretrain.errors import UserError


def applied(*overrides):
    tree = {}
    for override in overrides:
        apply_override(tree, override)
    return tree


@pytest.mark.parametrize(("override", "tree"), [
    ("a=1", {"a": 1}), ("a.b.c=1", {"a": {"b": {"c": 1}}}), ("a=", {"a": None}), ("a=null", {"a": None}),
    ("a='1'", {"a": "1"}), ("a=1e-3", {"a": "1e-3"}), ("a=1.0e-3", {"a": 0.001}), ("a=yes", {"a": True}),
    ("a=[1, x]", {"a": [1, "x"]}), ("a={b: {c: 2}}", {"a": {"b": {"c": 2}}}), ("a=b=c", {"a": "b=c"}),
    (" a =1", {"a": 1}), ("a=x: 1", {"a": {"x": 1}})])
def test_values_are_yaml(override, tree):
    assert applied(override) == tree


def test_later_overrides_win_and_keep_what_is_beside_them():
    assert applied("a.b=1", "a.c=2", "a.b=3") == {"a": {"b": 3, "c": 2}}
    assert applied("a.b=1", "a=5") == {"a": 5}
    assert applied("a=", "a.b=1") == {"a": {"b": 1}}  # a section without content is null in YAML


@pytest.mark.parametrize(("override", "words"), [
    ("a", "--set 'a': write it as section.key=value"), ("=1", "--set '=1': write it as section.key=value"),
    ("a=[", "--set 'a=[': the value is not YAML"), ("a={b: 1", "the value is not YAML")])
def test_overrides_that_are_not_written_so_are_refused(override, words):
    with pytest.raises(UserError) as caught:
        applied(override)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_on_the_way_is_named():
    with pytest.raises(UserError, match="here: 'b' contains a value, not a section"):
        set_key({"a": {"b": 1}}, "a.b.c", 2, "here")
    with pytest.raises(UserError, match="here: 'a' contains a value, not a section"):
        set_key({"a": "text"}, "a.b", 2, "here")


def test_a_short_form_takes_keys():
    tree = {"transfer": "frozen", "distillation": {"teacher": "online"}}
    set_key(tree, "transfer.fresh_dim", 3, "here")
    set_key(tree, "distillation.teacher.hidden", [4], "here")
    assert tree == {"transfer": {"kind": "frozen", "fresh_dim": 3},
                    "distillation": {"teacher": {"kind": "online", "hidden": [4]}}}


def test_overrides_leave_the_given_tree_alone():
    tree = load_config("completejourney").resolved()
    parse_config(tree, ["seed=5", "schema.user.oov_rows=9"], origin="test")
    assert tree == load_config("completejourney").resolved()


@pytest.mark.parametrize(("text", "words"), [
    ("a: 1\na: 2\n", "key 'a' occurs twice"), ("a: {b: 1, c: 2, b: 3}", "key 'b' occurs twice"),
    ("- {a: 1, a: 1}", "key 'a' occurs twice"), ("a: [", "is not YAML: "), ("text", "not str"),
    ("- 1", "must be a mapping of sections, not list"), ("", "must be a mapping of sections, not NoneType"),
    ("a: !!python/object:x {}", "is not YAML")])
def test_files_without_one_mapping_are_refused_in_a_line(tmp_path, text, words):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_yaml(str(path))
    assert f"configuration {str(path)!r} " in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_merged_mappings_may_override(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("base: &base {a: 1, b: 2}\none: {<<: *base, b: 3}\ntwo: {<<: [*base], <<: *base}\n")
    assert read_yaml(str(path))["one"] == {"a": 1, "b": 3}


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "file.yaml"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"gate '.*file\.yaml' cannot be read \(.*\): give a YAML file$"):
        read_yaml(str(path), "gate")
    with pytest.raises(UserError, match=r"give a YAML file, or one of the bundled \['completejourney'\]$"):
        read_yaml(str(path))


def test_bundled_names_are_for_configurations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in BUNDLED:
        assert read_yaml(name)["name"] == "completejourney_ranker"
        with pytest.raises(UserError, match="gate 'completejourney' cannot be read"):
            read_yaml(name, "gate")


@pytest.mark.parametrize(("one", "other", "found"), [
    ({}, {}, None), ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}, None),
    ({"b": 1, "a": 1}, {"b": 2, "a": 2}, "a (1 there, 2 here)"),
    ({"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}, "a.c (1 there, 2 here)"),
    ({"a": {"b": 1}}, {"a": {}}, "a.b (1 there, None here)"), ({"a": {}}, {"a": 1}, "a ({} there, 1 here)"),
    ({"a": [1]}, {"a": [1, 2]}, "a ([1] there, [1, 2] here)"), ({"a": 1}, {"a": 1.0}, None)])
def test_the_first_difference_is_in_order_of_keys(one, other, found):
    assert first_difference(one, other) == found


def test_the_path_of_a_difference_can_start_elsewhere():
    assert first_difference({"b": 1}, {"b": 2}, "a") == "a.b (1 there, 2 here)"


def test_several_problems_are_counted():
    with pytest.raises(UserError) as caught:
        load_config("completejourney", ["pretraining.epochs=-1", "pretraining.dim=0", "seed=-3"])
    assert str(caught.value).endswith(" (and 2 more)")


def test_an_unknown_key_says_where_the_known_ones_are():
    with pytest.raises(UserError) as caught:
        load_config("completejourney", ["schema.users=3"])
    assert str(caught.value) == ("configuration 'completejourney': unknown key 'schema.users'; "
                                 "`tfrs-pretrain config` prints every key")
