"""Parts of the demo that need no training: printed commands, changed settings, the exported version."""

import json
import shlex

import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import ArmConfig
from tfrs_pretrain.demo import run
from tfrs_pretrain.demo.config import CompleteJourneyConfig, load_demo_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.exporting.recorded_export import recorded_version
from tfrs_pretrain.stages import EXPORT


@pytest.fixture(scope="module")
def config():
    return load_demo_config("completejourney")[0]


def test_commands_repeat_the_run_and_each_stage(config, tmp_path):
    lines = run.commands(tmp_path / "my run", config, CompleteJourneyConfig(max_households=150))
    [everything] = [shlex.split(line) for line in lines if line.startswith("tfrs-pretrain demo")]
    folder = str(tmp_path / "my run")
    assert everything == ["tfrs-pretrain", "demo", "--config", f"{folder}/config.yaml",
                          "--set", "completejourney.max_households=150", "--workdir", "NEW"]
    commands = [shlex.split(line)[1] for line in lines if line and not line.startswith("#")]
    assert commands == ["demo", "dataset", "pretrain", *["train-ranker"] * len(config.ranking.arms), "export", "report"]


def test_default_settings_of_the_logs_are_not_repeated(config, tmp_path):
    assert not any("--set" in line for line in run.commands(tmp_path, config, CompleteJourneyConfig()))


def test_each_arm_has_its_own_command_and_folder(config, tmp_path):
    trained = [shlex.split(line) for line in run.commands(tmp_path, config, CompleteJourneyConfig())
               if "train-ranker" in line]
    assert [words[words.index("--arm") + 1] for words in trained] == ["scratch", "warm_start", "warm_start_distilled"]
    assert [words[words.index("--output") + 1] for words in trained] == [
        "NEW/ranking/scratch", "NEW/ranking/warm_start", "NEW/ranking/warm_start_distilled"]


@pytest.mark.parametrize(("arm", "changed"), [
    ({}, {}),
    ({"transfer": "frozen"}, {"arm.transfer": "frozen"}),
    ({"transfer": {"kind": "warm_start", "fresh_dim": 8}, "epochs": 2},
     {"arm.transfer": {"kind": "warm_start", "fresh_dim": 8}, "arm.epochs": 2}),
])
def test_only_changed_settings_of_an_arm_are_named(arm, changed):
    assert run._changed_settings(ArmConfig.model_validate(arm)) == changed


@pytest.fixture
def exported(tmp_path):
    """A workdir whose export stage wrote version 3 under ``models``."""
    version = tmp_path / "models" / "ranker" / "3"
    version.mkdir(parents=True)
    (tmp_path / "run" / "export").mkdir(parents=True)
    write_manifest(tmp_path / "run" / "export", "export", {"path": str(version)})
    return tmp_path


def test_an_exported_version_is_found_again(exported):
    assert recorded_version(exported / "run" / EXPORT, exported / "models")


def test_a_version_of_another_models_folder_does_not_count(exported):
    (exported / "elsewhere").mkdir()
    assert not recorded_version(exported / "run" / EXPORT, exported / "elsewhere")


@pytest.mark.parametrize("lost", ["models/ranker/3", "run/export/manifest.json"])
def test_a_deleted_version_or_manifest_means_a_new_export(exported, lost):
    path = exported / lost
    path.rmdir() if path.is_dir() else path.unlink()
    assert not recorded_version(exported / "run" / EXPORT, exported / "models")


def test_logs_of_other_settings_are_refused(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "manifest.json").write_text(json.dumps({
        "kind": "logs", "completejourney": {"negatives_per_positive": 8, "max_households": 150}}))
    run._check_logs(tmp_path, CompleteJourneyConfig(max_households=150))
    with pytest.raises(UserError, match=r"other settings of the logs, first in completejourney\.max_households"):
        run._check_logs(tmp_path, CompleteJourneyConfig())


def test_a_workdir_without_logs_accepts_any_settings(tmp_path):
    run._check_logs(tmp_path, CompleteJourneyConfig(max_households=3))


def test_overrides_are_divided_between_the_demo_and_the_run():
    config, logs = load_demo_config("completejourney", ["completejourney.max_households=200", "seed=5"])
    assert (logs.max_households, logs.negatives_per_positive, config.seed) == (200, 8, 5)


@pytest.mark.parametrize("override", ["completejourney.households=3", "completejourney.max_households=0"])
def test_a_wrong_setting_of_the_logs_is_one_line(override):
    with pytest.raises(UserError, match="completejourney") as raised:
        load_demo_config("completejourney", [override])
    assert "\n" not in str(raised.value)
