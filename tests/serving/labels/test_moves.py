"""Moves and rollbacks of labels in models.config; the rest of the file stays unchanged."""

import re
import shutil
import subprocess
import sys

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.labels.models_config import folder_of, model_entry
from tfrs_pretrain.serving.labels.moves import (
    ROLLED_BACK,
    is_selected,
    move_label,
    previous_version,
    rolled_back_version,
    select_version,
)
from tfrs_pretrain.serving.labels.promotion import LabelMove

TEXT = """# Models to serve.  {brace in a comment
model_config_list {
  config {  # first
    name: "other", base_path: '/models/other # no comment'
    version_labels { key: "stable" value: 9 }
  }
  config: {
    # Ours; keep this.
    name: "ranker"
    base_path: "/models/ranker"
    model_platform: "tensorflow"
    model_version_policy {
      specific {
        versions: 1
      }
    }
    version_labels { key: "stable" value: 1 } version_labels { key: "canary", value: 1 };
    logging_config { sampling_config { sampling_rate: 0.25 } }  # a quarter
  }
}
"""


@pytest.fixture
def config(tmp_path):
    """A configuration beside three versions of its model."""
    for version in (1, 2, 3):
        folder = tmp_path / "ranker" / str(version)
        (folder / "assets.extra").mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"")
        write_manifest(folder / "assets.extra", "saved_model", {"name": "ranker", "version": version})
    path = tmp_path / "models.config"
    path.write_text(TEXT)
    return path


def parsed(path):
    """(labels, versions to load) of our entry, read with the server's own message."""
    entry = text_format.Parse(path.read_text(), ModelServerConfig()).model_config_list.config[1]
    return dict(entry.version_labels), list(entry.model_version_policy.specific.versions)


def test_a_label_moves_and_the_version_it_named_stays_loaded(config):
    assert move_label(config, "ranker", "canary", 2) == (1, 2)
    assert parsed(config) == ({"stable": 1, "canary": 2, "canary_previous": 1}, [1, 2])
    assert move_label(config, "ranker", "stable", 2) == (1, 2)
    assert parsed(config) == ({"stable": 2, "stable_previous": 1, "canary": 2, "canary_previous": 1}, [1, 2])
    assert move_label(config, "ranker", "stable", 3) == (2, 3)
    assert parsed(config)[0]["stable_previous"] == 2
    assert move_label(config, "ranker", "new", 3) == (None, 3)
    assert parsed(config)[0]["new"] == 3


def test_a_selected_version_is_loaded_and_labels_stay(config):
    assert not is_selected(config, "ranker", 3)
    select_version(config, "ranker", 3)
    assert is_selected(config, "ranker", 3)
    select_version(config, "ranker", 2)
    assert parsed(config) == ({"stable": 1, "canary": 1}, [1, 2, 3])
    move_label(config, "ranker", "stable", 2)
    assert parsed(config) == ({"stable": 2, "stable_previous": 1, "canary": 1}, [1, 2])


def roll_back(path, name, label):
    return move_label(path, name, label, previous_version(path, name, label), ROLLED_BACK)


def undo(path, name, label):
    return move_label(path, name, label, rolled_back_version(path, name, label))


MOVER = """
import sys, pathlib
from tfrs_pretrain.serving.labels.moves import previous_version
from tfrs_pretrain.serving.labels.rollout import Rollout
path, label = pathlib.Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
for number in range(30):
    Rollout(path, "ranker", f"{label}_{number}", 1 + number % 3).run()
Rollout(path, "ranker", f"{label}_0", 2).run()
Rollout(path, "ranker", f"{label}_0", previous_version(path, "ranker", f"{label}_0")).run()
"""


def test_no_concurrent_move_is_lost(config):
    """128 edits by four processes that start together."""
    movers = [subprocess.Popen([sys.executable, "-c", MOVER, str(config), f"label{number}"], stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True) for number in range(4)]
    for mover in movers:
        mover.stdin.write("go\n")
        mover.stdin.flush()
    for mover in movers:
        assert mover.communicate()[1] == ""
    moved = {f"label{one}_{number}": 1 + number % 3 for one in range(4) for number in range(30)}
    previous = {f"label{one}_0_previous": 2 for one in range(4)}
    assert parsed(config)[0] == {"stable": 1, "canary": 1} | moved | previous


@pytest.mark.parametrize("label", ["", "a/b", "..", "a b", 'a"b'])
def test_a_new_label_has_a_name_that_fits_into_a_url(config, label):
    with pytest.raises(UserError, match="a name is used for folders"):
        move_label(config, "ranker", label, 1)
    assert config.read_text() == TEXT


def test_moving_to_the_same_version_changes_nothing(config):
    assert move_label(config, "ranker", "stable", 1) == (1, 1)
    assert config.read_text() == TEXT


def test_a_second_roll_back_changes_nothing(config):
    move_label(config, "ranker", "stable", 2)
    assert roll_back(config, "ranker", "stable") == (2, 1)
    assert parsed(config) == ({"stable": 1, "stable_rolled_back": 2, "canary": 1}, [1, 2])
    before = config.read_text()
    assert roll_back(config, "ranker", "stable") == (1, 1)
    assert config.read_text() == before


def test_a_roll_back_is_undone_once(config):
    move_label(config, "ranker", "stable", 2)
    roll_back(config, "ranker", "stable")
    assert undo(config, "ranker", "stable") == (1, 2)
    assert parsed(config) == ({"stable": 2, "stable_previous": 1, "canary": 1}, [1, 2])
    with pytest.raises(UserError, match=r"was not rolled back .*there is no rollback to undo"):
        undo(config, "ranker", "stable")
    assert roll_back(config, "ranker", "stable") == (2, 1)


def test_a_move_after_a_roll_back_unloads_the_version_that_was_left(config):
    move_label(config, "ranker", "stable", 2)
    roll_back(config, "ranker", "stable")
    assert move_label(config, "ranker", "stable", 3) == (1, 3)
    assert parsed(config) == ({"stable": 3, "stable_previous": 1, "canary": 1}, [1, 3])


def test_a_deleted_version_is_refused_in_a_roll_back(config):
    move_label(config, "ranker", "stable", 2)
    before = config.read_text()
    shutil.rmtree(config.parent / "ranker" / "1")
    with pytest.raises(UserError, match="version 1 of model 'ranker' is not in "):
        roll_back(config, "ranker", "stable")
    assert config.read_text() == before


def test_the_rest_of_the_file_stays_unchanged(config):
    move_label(config, "ranker", "stable", 2)
    edited = config.read_text()
    edited_away = r"version_labels \{ key: \"(stable|canary)\",? value: 1|specific|versions: 1|policy \{|^ {4,6}\}$"
    for line in TEXT.splitlines():
        if not re.search(edited_away, line):
            assert line in edited.splitlines(), line
    before, after = (text_format.Parse(text, ModelServerConfig()) for text in (TEXT, edited))
    for message in (before, after):
        message.model_config_list.config[1].ClearField("version_labels")
        message.model_config_list.config[1].ClearField("model_version_policy")
    assert before == after
    assert "\n\n" not in edited


@pytest.mark.parametrize("text", [
    'model_config_list { config { name: "ranker" base_path: "ranker" } }',
    'model_config_list { config: [{ name: "ranker" base_path: "ranker" }] }',
    'model_config_list:{config:{name:"ranker" base_path:"ranker" model_version_policy{latest{num_versions:2}}}}',
    "model_config_list { config { version_labels { key: 'a \\\" } {' value: 3 } name: 'ranker' base_path: 'r' } }"])
def test_other_forms_of_the_file(config, text):
    config.write_text(text)
    config.with_name("r").symlink_to(config.with_name("ranker"))
    before = dict(model_entry(config, "ranker").version_labels)
    move_label(config, "ranker", "stable", 2)
    entry = model_entry(config, "ranker")
    assert dict(entry.version_labels) == before | {"stable": 2}
    assert sorted(entry.model_version_policy.specific.versions) == sorted({2, *before.values()})


def test_a_policy_of_all_versions_stays(config):
    config.write_text('model_config_list { config { name: "ranker" base_path: "ranker" '
                      'model_version_policy { all {} } } }')
    move_label(config, "ranker", "stable", 2)
    assert model_entry(config, "ranker").model_version_policy.WhichOneof("policy_choice") == "all"
    assert is_selected(config, "ranker", 3)


@pytest.mark.parametrize(("change", "message"), [
    (lambda path: move_label(path, "absent", "stable", 1), r"no entry for model 'absent', only \['other', 'ranker'\]"),
    (lambda path: move_label(path, "ranker", "stable", 4), r"version 4 of model 'ranker' is not in "),
    (lambda path: select_version(path, "ranker", 4), r"version 4 of model 'ranker' is not in "),
    (lambda path: roll_back(path, "ranker", "stable"), r"label 'stable' of model 'ranker' has no previous version"),
    (lambda path: roll_back(path, "ranker", "absent"), r"label 'absent' of model 'ranker' has no previous version"),
    (lambda path: LabelMove.plan(path.parent / "ranker", path, "stable"), "has no manifest.json|does not exist"),
])
def test_refused_moves_leave_the_file_unchanged(config, change, message):
    with pytest.raises(UserError, match=message):
        change(config)
    assert config.read_text() == TEXT
    assert sorted(path.name for path in config.parent.iterdir()) == ["models.config", "ranker"]


@pytest.mark.parametrize(("text", "message"), [
    ("model_config_list {", "cannot be parsed"), ("nonsense: 1", "cannot be parsed"), (b"\xff", "cannot be read"),
    ('model_config_list < config < name: "ranker" base_path: "ranker" > >', "form that cannot be edited")])
def test_files_that_cannot_be_edited(config, text, message):
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message):
        move_label(config, "ranker", "stable", 2)


def test_only_versions_in_the_models_folder_get_a_label(config, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "2"
    (elsewhere / "assets.extra").mkdir(parents=True)
    write_manifest(elsewhere / "assets.extra", "saved_model", {"name": "ranker", "version": 2})
    with pytest.raises(UserError, match=r"is not in the folder that .* names for model 'ranker', .*: export it there"):
        LabelMove.plan(elsewhere, config, "stable")
    assert "version 2 of ranker is selected" in LabelMove.plan(tmp_path / "ranker" / "2", config, "stable").execute()
    assert parsed(config) == ({"stable": 1, "canary": 1}, [1, 2])


def test_an_existing_base_path_is_used_unchanged(config, tmp_path):
    assert folder_of(model_entry(config, "ranker"), config) == tmp_path / "ranker"
    (tmp_path / "there").mkdir()
    config.write_text(f'model_config_list {{ config {{ name: "ranker" base_path: "{tmp_path}/there" }} }}')
    assert folder_of(model_entry(config, "ranker"), config) == tmp_path / "there"
