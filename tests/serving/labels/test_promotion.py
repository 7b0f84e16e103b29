"""The line that a label move prints."""

import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.serving.labels.models_config import model_entry
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
def test_the_line_names_the_change(config, label, version, change):
    move = LabelMove.plan(config.parent / "ranker" / str(version), config, label)
    assert move.execute() == f"{config}: label {label} of ranker names version {version} ({change})"
    assert model_entry(config, "ranker").version_labels[label] == version


def test_planning_changes_nothing(config):
    before = config.read_text()
    LabelMove.plan(config.parent / "ranker" / "2", config, "stable")
    assert config.read_text() == before
