"""What each extra promises, with the wheel: the core and the client in an empty environment, the others by blocking.

In a process of the other extras, modules that only the rest of the extras install cannot be imported.
"""

import json
import re
import sys
import textwrap

import numpy as np
import planted
import pytest
import yaml
from environments import (
    ROOT,
    blocked,
    build_wheel,
    closure,
    direct,
    install,
    locked,
    requirements,
    run,
    run_commands,
)
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tiny_models import save_scaler

from tfrs_pretrain import extras
from tfrs_pretrain.cli import app
from tfrs_pretrain.cli.embeddings import embeddings
from tfrs_pretrain.cli.needs import NEEDS
from tfrs_pretrain.serving.server.run import DevelopmentServer, open_models

CORE = {"demo-logs", "logs", "evaluate", "croissant", "config", "deploy", "version", "embeddings info",
        "embeddings neighbors", "embeddings export"}
REQUIRED = {  # smallest arguments of each command that needs an extra
    "demo": [], "dataset": ["--output", "o"], "pretrain": ["--dataset", "d", "--output", "o"],
    "plan-memory": ["--dataset", "d"], "train-ranker": ["--dataset", "d", "--output", "o", "--arm", "a"],
    "diagnose": ["d", "--output", "o"], "tune": ["--dataset", "d", "--output", "o"], "report": ["r"],
    "experiment": ["e.yaml", "--output", "o"], "retrain": ["--rounds", "r"], "promote": ["m", "--gate", "g", "--first"],
    "roll-back": ["m"], "query": ["127.0.0.1:1", "m"], "export": ["--dataset", "d", "--ranker", "r"], "compact": ["v"],
    "serve": [], "verify-server": ["127.0.0.1:1", "--model", "m"],
    "push": ["127.0.0.1:1", "--version", "v", "--secret", "s"], "index": ["--embeddings", "e", "--output", "o"],
    "recommend": ["1", "--dataset", "d", "--embeddings", "e", "--index", "i", "--ranker", "r"],
    "forget": ["--space", "user", "--ids", "i", "f"], "plan": ["--dataset", "d"],
    "rank": ["--dataset", "d", "--output", "o", "--arm", "a"], "sign": ["v", "--key", "k"], "sbom": ["--output", "o"],
}
CLIENT = textwrap.dedent("""
    import json, sys
    import tfrs_pretrain as tp
    from tfrs_pretrain.serving.client import Classify, Regress

    found = {}
    for kind, address in ((tp.GrpcClient, sys.argv[1]), (tp.RestClient, sys.argv[2])):
        with kind(address, tp.Model("scaler", label="stable"), timeout=20) as client:
            metadata = client.metadata()
            found[kind.__name__] = {
                "predict": client.predict(tp.Predict({"x": [1.5, 2.0], "shift": [0.25]}))["scaled"].tolist(),
                "classify": client.classify(Classify([{"x": 1.5}])),
                "regress": client.regress(Regress([{"x": 1.5, "shift": 1.0}])).tolist(),
                "metadata": [metadata.version, sorted(metadata.public)],
                "input": str(metadata.public["regress"].inputs["inputs"]),
                "status": [(each.version, each.state) for each in client.status()]}
    found["loaded"] = sorted({"tensorflow", "tensorflow_serving"} & sys.modules.keys())
    print(json.dumps(found))
    """)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def given(wheel):
    return requirements(wheel)


@pytest.fixture(scope="module")
def core(wheel, tmp_path_factory):
    """An environment with the wheel alone, and what its commands and names did before anything else was installed."""
    folder = tmp_path_factory.mktemp("core")
    python = install(folder / "venv", str(wheel))
    (folder / "mine.yaml").write_text(yaml.safe_dump(planted.planted_config()))
    commands = {"--version": ["--version"], "--help": ["--help"], "pretrain --help": ["pretrain", "--help"],
                "config": ["config", "--config", "mine.yaml"],
                "config wrong": ["config", "--config", "mine.yaml", "--set", "pretraining.epochs=many"],
                "demo-logs": ["demo-logs", "--kind", "movies", "--output", "movies"],
                "evaluate --dataset": ["evaluate", "m", "--dataset", "d"],
                **{name: [name, *arguments] for name, arguments in REQUIRED.items()}}
    found = run_commands(python, folder, commands=list(commands.values()), names=True)
    job = run([str(python), "-m", "beam_pipelines.build_dataset", "--help"], cwd=folder, check=False)
    return python, dict(zip(commands, found["commands"], strict=True)), found["names"], (job.returncode, job.stderr)


def test_every_command_is_listed_with_its_extra():
    names = {command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands}
    names |= {f"embeddings {command.callback.__name__}" for command in embeddings.registered_commands}
    assert names - {"embeddings"} == CORE | set(NEEDS)
    assert set(REQUIRED) == set(NEEDS)


def test_the_page_lists_the_same_extras():
    page = (ROOT / "docs" / "installation.md").read_text()
    rows = re.findall(r"^\| (none|`.*?) \| (.*?) \|", page, re.MULTILINE)
    listed = {name: tuple(re.findall(r"`(\w+)`", needed)) for needed, names in rows
              for name in re.findall(r"`([a-z -]+)`", names)}
    formerly = {"plan", "rank", "logs"}
    assert listed == {name: NEEDS.get(name, ()) for name in (CORE | set(NEEDS)) - formerly}


@pytest.mark.slow
def test_the_core_answers_help_version_and_configuration(core):
    _, commands, *_ = core
    for name in ("--version", "--help", "pretrain --help", "config", "demo-logs"):
        assert commands[name] == [0, ""], name
    code, error = commands["config wrong"]
    assert code == 2
    assert "pretraining.epochs" in error


@pytest.mark.slow
def test_a_command_without_its_extra_is_one_line_with_the_pip_command(core):
    _, commands, _, job = core
    for name, needed in {**NEEDS, "evaluate --dataset": ("train",)}.items():
        code, errors = commands[name]
        assert code == 2, name
        assert errors.count("\n") == 1, name
        assert errors.startswith("error: ")
        assert errors.endswith(f"pip install 'tfrs-pretrain[{','.join(needed)}]'\n")
    assert job == (2, "error: beam_pipelines needs the extra 'beam' (apache-beam is missing): "
                      "pip install 'tfrs-pretrain[beam]'\n")


@pytest.mark.slow
def test_a_public_name_without_its_extra_raises_the_same_line(core):
    _, _, names, _ = core
    assert names["pretrain"].replace("tf-keras", "tf_keras") == (
        "MissingExtraError: tfrs_pretrain.pretrain needs the extra 'train' (tensorflow is missing, keras is missing, "
        "tf_keras is missing and 3 more): pip install 'tfrs-pretrain[train]'")
    for name, extra in {"EmbeddingTable": "train", "GrpcClient": "client", "Model": "client"}.items():
        assert re.fullmatch(rf"MissingExtraError: tfrs_pretrain\.{name}: the package '\w+' is not installed: "
                            rf"pip install 'tfrs-pretrain\[{extra}\]'", names[name])
    usable = {name for name, error in names.items() if error is None}
    assert {"Config", "Dataset", "Embeddings", "Evaluation", "UserError", "evaluate", "load_config"} <= usable


@pytest.mark.slow
def test_the_client_calls_a_server_without_tensorflow(core, wheel, tmp_path):
    python = install(core[0].parents[1], f"{wheel}[client]")
    save_scaler(tmp_path / "scaler" / "7")
    config = tmp_path / "models.config"
    config.write_text(f'model_config_list {{ config {{ name: "scaler" base_path: "{tmp_path / "scaler"}" '
                      'model_platform: "tensorflow" version_labels { key: "stable" value: 7 } '
                      "model_version_policy { specific { versions: 7 } } } }")
    with DevelopmentServer(open_models(config)) as server:
        found = json.loads(run([str(python), "-c", CLIENT, server.grpc, server.rest], cwd=tmp_path).stdout)
        queried = run([str(python), "-c", "from tfrs_pretrain.cli import main; main()", "query", server.grpc, "scaler",
                       "status", "--json"], cwd=tmp_path)
    assert json.loads(queried.stdout) == [{"version": 7, "state": "AVAILABLE", "error": ""}]
    assert found.pop("loaded") == []
    assert set(found) == {"GrpcClient", "RestClient"}
    for answers in found.values():
        np.testing.assert_allclose(answers["predict"], [3.25, 4.25])
        assert answers["classify"] == [[["low", 3.0], ["high", 6.0]]]
        assert answers["regress"] == [4.0]
        assert answers["metadata"] == [7, ["classify", "regress", "serving_default"]]
        assert answers["input"] == "string[?]"
        assert answers["status"] == [[7, "AVAILABLE"]]
    absent = run([str(python), "-c", "import tensorflow"], cwd=tmp_path, check=False)
    assert "No module named 'tensorflow'" in absent.stderr


@pytest.fixture(scope="module")
def work(tmp_path_factory, planted_logs):
    folder = tmp_path_factory.mktemp("work")
    (folder / "mine.yaml").write_text(yaml.safe_dump(planted.planted_config()))
    return folder


@pytest.fixture(scope="module")
def ran(work, given, planted_logs, tiny_dataset):
    """Exit codes and errors by extra, of commands that had only the modules of that extra, in order."""
    dataset, one_epoch = str(tiny_dataset.folder), ["--set", "pretraining.epochs=1", "--set", "ranking.epochs=1"]
    commands = {
        "beam": [["dataset", "--config", "mine.yaml", "--raw", str(planted_logs), "--output", "dataset"]],
        "train": [["pretrain", "--dataset", dataset, "--output", "embeddings", *one_epoch],
                  ["train-ranker", "--dataset", dataset, "--embeddings", "embeddings", "--arm", "warm_start",
                   "--output", "ranker", *one_epoch]],
        "serve": [["export", "--dataset", dataset, "--ranker", "ranker", "--models", "models", *one_epoch]],
    }
    return {extra: run_commands(sys.executable, work, path=str(ROOT), commands=lines, blocked=blocked(given, extra)
                                )["commands"] for extra, lines in commands.items()}


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["beam", "train", "serve"])
def test_commands_need_only_the_packages_of_their_extra(extra, ran):
    for code, errors in ran[extra]:
        assert code == 0, errors[-2000:]


@pytest.mark.slow
def test_the_dataset_of_the_beam_extra_is_that_of_the_whole_installation(ran, work, tiny_dataset):
    found = json.loads((work / "dataset" / "dataset_info.json").read_text())
    assert found["files"] == tiny_dataset.info["files"]


def test_every_requirement_is_pinned(given):
    lines = [*(ROOT / "constraints.txt").read_text().splitlines(), *locked("tools")]
    pinned = {Requirement(line).name.lower().replace("_", "-") for line in lines}
    assert {each.name.lower().replace("_", "-") for each in given} - pinned == {"tensorboard"}


@pytest.mark.parametrize("extra", ["beam", "gcp", "all"])
def test_locked_files_have_the_pinned_versions_of_all_that_an_extra_needs(given, extra):
    pinned = {Requirement(line).name.lower(): str(Requirement(line).specifier)
              for line in (ROOT / "constraints.txt").read_text().splitlines()
              if not Requirement(line).marker or Requirement(line).marker.evaluate({"python_version": "3.11"})}
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    found = {canonicalize_name(name): version for name, version in re.findall(
        r"^(\S+)(==\S+) \\\n    --hash=sha256:[0-9a-f]{64}", (ROOT / "requirements" / f"{extra}.txt").read_text(),
        re.MULTILINE)}
    assert closure(direct(given, extra)) <= found.keys()
    assert len(found) == len(locked(extra))
    assert found.keys() - pinned.keys() <= {"setuptools", "wheel"}  # constraints.txt leaves out what builds packages
    assert {name: version for name, version in found.items() if name in pinned}.items() <= pinned.items()


def test_extras_without_tensorflow_do_not_pull_it_in(given):
    for extra in ("", "client", "beam"):
        assert not {"tensorflow", "keras"} & closure(direct(given, extra)), extra
    assert "apache-beam" not in closure(direct(given, "train")) | closure(direct(given, "serve"))


@pytest.fixture
def installed(monkeypatch):
    """Pretends that the package has these requirements, and that packages have these versions."""
    def pretend(*lines, **versions):
        monkeypatch.setattr(extras, "_all_requirements", lambda: tuple(map(Requirement, lines)))
        monkeypatch.setattr(extras, "_version", lambda requirement: versions.get(requirement.name))

    return pretend


def test_a_version_outside_the_extra_is_named(installed):
    installed('fiction<2.22,>=2.21; extra == "train"', fiction="2.15.0")
    with pytest.raises(extras.MissingExtraError) as raised:
        extras.require("it", "train")
    assert str(raised.value) == ("it needs the extra 'train' (fiction 2.15.0 is installed, <2.22,>=2.21 is needed): "
                                 "pip install 'tfrs-pretrain[train]'")
    installed('fiction<2.22,>=2.21; extra == "train"', fiction="2.21.0rc1")
    with pytest.raises(extras.MissingExtraError):
        extras.require("it", "train")
    installed('fiction<2.22,>=2.21; extra == "train"', fiction="2.21.3")
    extras.require("it", "train")


def test_a_module_of_another_package_is_enough(installed):
    installed('numpy>=99; extra == "train"')  # no package of that name, but a module
    extras.require("it", "train")


def test_what_the_metadata_do_not_list_is_not_checked(installed):
    installed("fiction>=1", 'fiction>=1; extra == "beam"')
    extras.require("it", "train")
    installed()
    extras.require("it", "beam")


def test_a_failed_import_is_explained_only_if_an_extra_installs_the_module(installed):
    installed('fiction>=1; extra == "serve"', 'fiction>=1; extra == "all"', 'protobuf>=1; extra == "client"')
    assert extras.missing_module(ImportError(name="fiction.part")) == (
        "the package 'fiction' is not installed: pip install 'tfrs-pretrain[serve]'")
    assert extras.missing_module(ImportError(name="elsewhere")) is None
    assert extras.missing_module(ImportError("no name")) is None
