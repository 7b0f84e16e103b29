"""Names that become folders, files, variables or inputs of a served model."""

import re

import pytest

from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.experiment_file import load_experiment
from tfrs_pretrain.names import repeated
from tfrs_pretrain.output_folders import inside, refuse_existing, staged_folder

# Each of these deletes, hides or collides: other folders, hidden files, paths, line ends, names beside the output.
BAD_FOLDERS = ["../..", "..", ".", "", "a/b", "/tmp", "a\\b", ".hidden", "-rf", "a b", "a\n", "über", "a:b", "x" * 101,
               "warm.checkpoints", "warm.BEST"]
# Refused by tf.Variable or tf.function (the reserved words of Python), or renamed by them ("7d" to "arg_7d").
BAD_COLUMNS = ["device type", "device-type", "device.type", "7d_device", "€", "größe", "_x", "a/b", "../../x", "",
               "a\n", "x" * 101]
BAD_FEATURES = [*BAD_COLUMNS, "self", "Self", "class", "None", "numeric", "similarity", "fresh_user", "fresh_item"]


def refusal(*overrides):
    with pytest.raises(UserError) as caught:
        load_config("completejourney", overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def feature(name, **keys):
    more = "".join(f", {key}: {value}" for key, value in keys.items())
    return f'{{name: "{name}", source: items, kind: categorical, dtype: string{more}}}'.replace("\n", "\\n").replace(
        "a\\b", "a\\\\b")


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace("\n", "\\n") + '"'


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_arms_and_models_have_names_of_folders(name):
    expected = r"a name is used for folders|must not end in \.checkpoints or \.best"
    message = refusal(f"ranking.arms={{{quoted(name)}: {{}}}}", f"export.arm={quoted(name)}")
    assert re.search(expected, message), message
    assert "ranking.arms" in message
    assert re.search(expected, refusal(f"name={quoted(name)}"))


@pytest.mark.parametrize("name", ["warm_start", "A-9.x", "_x", "1.5", "x" * 100, "best", "checkpoints.v2"])
def test_ordinary_names_of_arms_and_models_are_accepted(name):
    config = load_config("completejourney", [f"ranking.arms={{{quoted(name)}: {{}}}}", f"export.arm={quoted(name)}",
                                             f"name={quoted(name)}"])
    assert (config.name, list(config.ranking.arms)) == (name, [name])


@pytest.mark.parametrize("name", BAD_FEATURES)
def test_features_have_names_that_every_stage_accepts(name):
    message = refusal(f"schema.features=[{feature(name)}]")
    assert "schema.features.0.name: " in message
    assert "key column" in message


@pytest.mark.parametrize("name", BAD_COLUMNS)
def test_labels_have_names_that_every_stage_accepts(name):
    assert "schema.labels.0: a name of a feature or label" in refusal(f"schema.labels=[{quoted(name)}]")


def test_a_feature_can_have_any_column():
    config = load_config("completejourney", [f"schema.features=[{feature('device_type', column='device type €')}]"])
    assert config.schema_.features[0].source_column == "device type €"


@pytest.mark.parametrize(("override", "twice"), [
    (f"schema.features=[{feature('Device')}, {feature('device')}]", "['device']"),
    (f"schema.features=[{feature('User')}]", "['User']"), (f"schema.features=[{feature('ITEM_ID')}]", "['ITEM_ID']"),
    ("schema.labels=[liked, Liked]", "['Liked']"), ("ranking.arms={warm: {}, WARM: {}}", "['WARM']")])
def test_names_differ_in_more_than_case(override, twice):
    message = refusal(override, "export.arm=warm")
    assert f"repeated: {twice}" in message


def test_repeated_names_are_listed_once_and_sorted():
    assert repeated(["b", "a", "B", "A", "a", "c"]) == ["A", "B", "a"]
    assert repeated([]) == []


@pytest.mark.parametrize("name", ["../..", "..", "a/b", "a.checkpoints"])
def test_arms_of_experiments_have_names_of_folders(tmp_path, name):
    path = tmp_path / "experiment.yaml"
    path.write_text(f"title: t\nconfig: completejourney\nlogs: {{source: planted}}\nbaseline: plain\n"
                    f"arms: {{plain: , {quoted(name)}: }}\n")
    with pytest.raises(UserError, match=r"a name is used for folders|must not end in"):
        load_experiment(path)


@pytest.mark.parametrize("names", [("..",), ("../..",), ("a", "../../b"), ("/etc",), (".",), (), ("a/../..",)])
def test_a_joined_name_does_not_lead_out_of_its_folder(tmp_path, names):
    with pytest.raises(UserError, match="leads out of the folder"):
        inside(tmp_path, *names)


def test_a_joined_name_is_below_its_folder(tmp_path):
    assert inside(tmp_path, "a", "b.npy") == tmp_path / "a" / "b.npy"
    assert inside(tmp_path, "a..b") == tmp_path / "a..b"


@pytest.mark.parametrize("target", [".", "..", "../..", "sub/..", "/"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_folder_of_the_command_is_never_an_output(tmp_path, monkeypatch, target, overwrite):
    folder = tmp_path / "work" / "dir"
    (folder / "sub").mkdir(parents=True)
    monkeypatch.chdir(folder)
    path = type(tmp_path)(target)
    with pytest.raises(UserError, match="contains the folder in which the command runs"):
        refuse_existing(path, overwrite=overwrite)
    with pytest.raises(UserError, match="contains the folder"), staged_folder(path, overwrite=overwrite):
        raise AssertionError
    assert (folder / "sub").is_dir()
