"""Configuration: what is refused, in which words; overrides; round trip."""

import datetime

import pytest

from tfrs_pretrain.config import Window, first_difference, load_config, parse_config
from tfrs_pretrain.errors import UserError


def refusal(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config("completejourney", overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_default_windows_are_those_of_the_readme():
    windows = load_config("completejourney").windows
    assert [str(getattr(windows, name)) for name in ("pretrain", "train", "validation", "test")] == [
        "[1, 31)", "[31, 44)", "[44, 46)", "[46, 54)"]


def test_resolved_configuration_reads_back_equal():
    config = load_config("completejourney", ["pretraining.epochs=3"])
    again = parse_config(config.resolved(), origin="stored")
    assert again == config
    assert again.pretraining.epochs == 3


@pytest.mark.parametrize(("override", "words"), [
    ("pretraining.epoch=3", "unknown key 'pretraining.epoch'"),
    ("nonsense=3", "unknown key 'nonsense'"),
    ("pretraining.epochs=many", "pretraining.epochs: Input should be a valid integer"),
    ("pretraining.objective.temperature=0", "pretraining.objective.temperature: Input should be greater than 0, not 0"),
    ("schema.user.dtype=float", "schema.user.dtype"),
    ("windows.train.end=31", r"window [31, 31) is empty"),
    ("windows.train.start=20", "window pretrain [1, 31) must end before window train [20, 44) starts"),
    ("windows.test.start=45", "window validation [44, 46) must end before window test [45, 54) starts"),
    ("windows.test.start=2017-05-01", "must both be integers or both be dates"),
    ("export.arm=nobody", "export.arm 'nobody' is not one of ranking.arms"),
    ("ranking.id_dim=32", "ranking.id_dim 32 must equal pretraining.dim 64"),
    ("ranking.labels.liked=1", "ranking.labels ['liked'] are not among schema.labels []"),
    ("ranking.labels.liked=0", "weights of labels must be finite and above 0"),
    ("ranking.backbone.kind=transformer", "ranking.backbone"),
    ("ranking.backbone={kind: mlp, rank: 3}", "unknown key 'ranking.backbone.rank'; kind 'mlp' has no such key"),
    ("ranking.attention_hidden=[]", "ranking.attention_hidden"),
    ("name=../evil", "name"),
    ("seed", "write it as section.key=value"),
    ("seed.deeper=1", "'seed' contains a value, not a section"),
    ("seed=[", "the value is not YAML"),
    ("name=" + "x" * 10_000, "a name is used for folders"),
    ("pretraining.objective.kind=" + "x" * 10_000, "unknown kind 'xxx"),
])
def test_refusals_name_the_key_and_the_reason(override, words):
    message = refusal(override)
    assert words in message
    assert len(message) <= 1001


def test_overlap_is_accepted_by_name_only():
    config = load_config("completejourney", ["windows.pretrain.end=46", "windows.allow_overlap=true"])
    assert config.windows.pretrain.bounds == (1, 46)


def test_feature_names_must_be_unique():
    feature = "{name: user, source: users, kind: categorical, dtype: string}"
    assert "repeated: ['user']" in refusal(f"schema.features=[{feature}]")


def test_numeric_features_are_floats():
    feature = "{name: price, source: items, kind: numeric, dtype: string}"
    assert "schema.features.0.dtype: Input should be 'float32', not 'string'" in refusal(f"schema.features=[{feature}]")


def test_missing_and_broken_files_are_named(tmp_path):
    broken = tmp_path / "broken.yaml"
    for text, words in (("a: [", "is not YAML"), ("- 1", "must be a mapping")):
        broken.write_text(text)
        with pytest.raises(UserError, match=words):
            load_config(str(broken))
    with pytest.raises(UserError, match="cannot be read"):
        load_config(str(tmp_path / "absent.yaml"))


def test_date_windows_count_microseconds_in_utc():
    window = Window.model_validate({"start": datetime.date(1970, 1, 2), "end": "1970-01-02T00:00:01+00:00"})
    assert window.temporal
    assert window.bounds == (86_400_000_000, 86_401_000_000)


def test_first_difference_names_key_and_values():
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 2}}) == "a.b (1 there, 2 here)"
    assert first_difference({"a": 1}, {"a": 1}) is None
    assert first_difference({}, {"a": 1}) == "a (None there, 1 here)"
