"""The workdir at the edges: what is stored, what an older version left, what each stage cost."""


import pytest
import yaml

from tfrs_pretrain import stages
from tfrs_pretrain.artifacts import read_optional_json, write_manifest
from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import staged_folder
from tfrs_pretrain.stages import Workdir, peak_rss_bytes


@pytest.fixture
def config():
    return load_config("completejourney")


def write(kind, name="manifest.json"):
    def run(output):
        with staged_folder(output, overwrite=True) as staged:
            write_manifest(staged, kind, {"made": kind}, name=name)
    return run


def fail(output):
    raise AssertionError(f"{output} was made again")


def test_the_folder_contains_the_resolved_configuration(tmp_path, config):
    Workdir(tmp_path / "deep" / "run", config)
    assert [path.name for path in (tmp_path / "deep" / "run").iterdir()] == ["config.yaml"]
    assert yaml.safe_load((tmp_path / "deep" / "run" / "config.yaml").read_text()) == config.resolved()
    assert Workdir.reopen(tmp_path / "deep" / "run").config == config


def test_a_configuration_of_version_0_1_is_the_same_configuration(tmp_path, config):
    tree = config.resolved()
    objective = tree["pretraining"].pop("objective")
    tree["pretraining"] |= {"objective": "softmax", "negatives": "in_batch", "uniform_negatives": 0,
                            "temperature": objective["temperature"], "log_q": True, "log_q_form": "classic"}
    tree["completejourney"] = {"negatives_per_positive": 8, "max_households": None}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    assert Workdir(tmp_path, config).config == config
    with pytest.raises(UserError, match=r"first in pretraining\.objective\.temperature \(0\.07 there, 0\.5 here\)"):
        Workdir(tmp_path, load_config("completejourney", ["pretraining.objective.temperature=0.5"]))


def test_a_stage_returns_its_manifest_and_records_its_cost(tmp_path, config, monkeypatch):
    clock = iter([100.0, 107.5])
    monkeypatch.setattr(stages.time, "monotonic", lambda: next(clock))
    workdir = Workdir(tmp_path / "run", config)
    assert workdir.stage("one", "artifact", "thing", write("thing"))["made"] == "thing"
    costs = read_optional_json(tmp_path / "run" / "stages.json")
    assert costs["one"]["seconds"] == 7.5
    assert costs == workdir.costs == Workdir.reopen(tmp_path / "run").costs


def test_a_finished_stage_returns_its_manifest_and_says_so(tmp_path, config, capsys):
    Workdir(tmp_path, config).stage("one", "artifact", "thing", write("thing", "info.json"), manifest="info.json")
    again = Workdir(tmp_path, config)
    assert again.stage("one", "artifact", "thing", fail, manifest="info.json")["made"] == "thing"
    assert "artifact  kept from an earlier run" in capsys.readouterr().out


def test_a_finished_artifact_without_a_cost_is_made_again(tmp_path, config):
    """Its writer was killed between the two, so nobody knows what it took."""
    workdir = Workdir(tmp_path, config)
    write("thing")(tmp_path / "artifact")
    workdir.stage("one", "artifact", "thing", write("thing"))
    assert workdir.costs["one"]["seconds"] >= 0


def test_a_stage_of_another_kind_is_refused(tmp_path, config):
    with pytest.raises(UserError, match="contains 'other', expected 'thing'"):
        Workdir(tmp_path, config).stage("one", "artifact", "thing", write("other"))


def test_a_forgotten_stage_runs_again(tmp_path, config):
    workdir = Workdir(tmp_path, config)
    for name in ("one", "two"):
        workdir.stage(name, name, "thing", write("thing"))
    workdir.forget("two")
    workdir.forget("never ran")
    again = Workdir.reopen(tmp_path)
    assert list(again.costs) == ["one"]
    ran = []
    again.stage("one", "one", "thing", fail)
    again.stage("two", "two", "thing", lambda output: (ran.append(output), write("thing")(output)))
    assert ran == [tmp_path / "two"]


def test_a_failed_stage_has_no_cost(tmp_path, config):
    workdir = Workdir(tmp_path, config)
    workdir.stage("one", "one", "thing", write("thing"))
    (tmp_path / "one" / "manifest.json").unlink()
    with pytest.raises(AssertionError):
        workdir.stage("one", "one", "thing", fail)
    assert read_optional_json(tmp_path / "stages.json") == {}


def test_seconds_are_added(tmp_path, config):
    workdir = Workdir(tmp_path, config)
    workdir.costs = {"one": {"seconds": 1.5}, "two": {"seconds": 2.0}, "three": {"seconds": 100.0}}
    assert workdir.seconds("one", "two") == 3.5
    with pytest.raises(UserError, match="stage 'four' has not finished; run `tfrs-pretrain demo`"):
        workdir.seconds("one", "four")


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_is_the_larger_of_process_and_children(monkeypatch, platform, unit):
    class Usage:
        def __init__(self, ru_maxrss):
            self.ru_maxrss = ru_maxrss

    usages = {stages.resource.RUSAGE_SELF: Usage(3), stages.resource.RUSAGE_CHILDREN: Usage(5)}
    monkeypatch.setattr(stages.resource, "getrusage", usages.__getitem__)
    monkeypatch.setattr(stages.sys, "platform", platform)
    assert peak_rss_bytes() == 5 * unit
