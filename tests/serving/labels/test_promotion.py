"""The text that a label move prints, and its steps without a server."""

import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.serving.labels.models_config import model_entry
from tfrs_pretrain.serving.labels.moves import select_version
from tfrs_pretrain.serving.labels.promotion import LabelMove


@pytest.fixture
def config(tmp_path):
    for version in (1, 2):
        (tmp_path / "ranker" / str(version) / "assets.extra").mkdir(parents=True)
        (tmp_path / "ranker" / str(version) / "saved_model.pb").write_bytes(b"")
        write_manifest(tmp_path / "ranker" / str(version) / "assets.extra", "saved_model",
                       {"name": "ranker", "version": version})
    path = tmp_path / "models.config"
    path.write_text('model_config_list { config { name: "ranker" base_path: "ranker"\n'
                    'version_labels { key: "stable" value: 1 } } }')
    return path


@pytest.mark.parametrize(("label", "version", "change"), [
    ("stable", 1, "unchanged"), ("stable", 2, "was version 1"), ("canary", 2, "new")])
def test_the_first_line_names_the_change(config, label, version, change):
    select_version(config, "ranker", version)
    move = LabelMove.plan(config.parent / "ranker" / str(version), config, label)
    line, advice = move.execute().splitlines()
    assert line == f"{config}: label {label} of ranker names version {version} ({change})"
    assert f"`tfrs-pretrain query HOST:PORT ranker metadata --label {label}` must show version {version}" in advice
    assert model_entry(config, "ranker").version_labels[label] == version


def test_without_a_server_an_existing_label_moves_in_the_second_call(config):
    """The real server refuses a label that moves to a version that it has not loaded."""
    move = LabelMove.plan(config.parent / "ranker" / "2", config, "stable")
    text = move.execute()
    assert "version 2 of ranker is selected, and label stable still names version 1" in text
    assert "query HOST:PORT ranker status` shows version 2 as AVAILABLE, then run this command again" in text
    entry = model_entry(config, "ranker")
    assert dict(entry.version_labels) == {"stable": 1}
    assert list(entry.model_version_policy.specific.versions) == [1, 2]
    assert "names version 2 (was version 1)" in move.execute()
    assert dict(model_entry(config, "ranker").version_labels) == {"stable": 2, "stable_previous": 1}


def test_a_new_label_and_its_version_need_one_edit(config):
    assert "label canary of ranker names version 2 (new)" in LabelMove.plan(
        config.parent / "ranker" / "2", config, "canary").execute()
    assert list(model_entry(config, "ranker").model_version_policy.specific.versions) == [1, 2]


def test_planning_changes_nothing(config):
    before = config.read_text()
    LabelMove.plan(config.parent / "ranker" / "2", config, "stable")
    assert config.read_text() == before
