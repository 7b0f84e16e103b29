"""`tfrs-pretrain tune` on small planted logs whose test files cannot be read."""

import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml
from processes import start
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.config import load_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.tuning.run import check_validation

CLI = "import sys; from tfrs_pretrain.cli import main; main()"
SETTINGS = ["export.arm=warm_start", "pretraining.epochs=1", "training.checkpoint_every_steps=5"]
CANDIDATES = {"scratch": {"arm.transfer": "scratch"},
              "no_learning": {"ranking.table_learning_rate": 1e-9, "ranking.learning_rate": 1e-9},
              "full_rate": {"arm.transfer.pretrained_learning_rate_scale": 1.0}}


@pytest.fixture(scope="module")
def unreadable(tiny_dataset, tmp_path_factory):
    """Copy the dataset; its test files have the right size, but contain zeros."""
    folder = tmp_path_factory.mktemp("tune") / "dataset"
    shutil.copytree(tiny_dataset.folder, folder)
    for path in map(Path, Dataset.open(folder).files("impressions/test")):
        path.write_bytes(bytes(path.stat().st_size))
    return folder


def arguments(dataset, output, candidates, *more):
    path = output.parent / "candidates.yaml"
    path.write_text(yaml.safe_dump({"candidates": candidates}, sort_keys=False))
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    return ["tune", "--dataset", str(dataset), "--output", str(output), "--candidates", str(path), "--seeds", "2",
            "--jobs", "2", *sets, *more]


def manifests(output):
    return {path.parent.name: json.loads(path.read_text()) for path in output.glob("pieces/ranker/*/manifest.json")}


@pytest.fixture(scope="module")
def finished(unreadable):
    output = unreadable.parent / "out"
    done = CliRunner().invoke(app, arguments(unreadable, output, CANDIDATES, "--minutes", "9", "--json",
                                             str(unreadable.parent / "result.json")))
    assert done.exit_code == 0, done.output + repr(done.exception)
    return output, done


def test_the_test_split_of_the_copy_cannot_be_read(unreadable):
    import tensorflow as tf

    with pytest.raises(tf.errors.OpError):
        list(evaluation_batches(Dataset.open(unreadable), "impressions/test", batch_size=8))


@pytest.mark.slow
def test_the_race_chooses_by_validation_without_reading_test(finished):
    output, done = finished
    result = json.loads((output / "tune.json").read_text())
    first, second = result["rungs"]
    assert {entry["name"] for entry in first["entries"]} == {"default", *CANDIDATES}
    assert (first["seeds"], second["seeds"]) == ([7], [7, 8])
    order = [entry["name"] for entry in first["entries"] if entry["name"] != "default"]
    assert [entry["name"] for entry in first["entries"] if entry["kept"]] == order[:2]
    assert {entry["name"] for entry in second["entries"]} - {"default"} == {*order[:2], *first["joined"]}
    assert order[-1] == "no_learning"
    found = manifests(output)
    assert len(found) == len(first["entries"]) + sum(1 + (entry["name"] in first["joined"])
                                                     for entry in second["entries"])
    assert all(manifest["metrics"].keys() == {"validation"} for manifest in found.values())
    losses = sorted(manifest["metrics"]["validation"]["log_loss"] for manifest in found.values())
    shown = sorted({value for rung in (first, second) for entry in rung["entries"] for value in entry["values"]})
    assert shown == sorted(set(losses))
    assert result["work_seconds"]["stage_two"] > 0
    assert result["candidates"]["scratch"]["seconds"]["stage_one"] == 0
    assert result["candidates"]["full_rate"]["shares_stage_one"]
    assert result["seconds"] <= 9 * 60
    assert json.loads((output.parent / "result.json").read_text())["decision"] == result["decision"]
    assert "rung 2: 2 seeds" in done.output
    assert result["decision"]["reason"][1:] in " ".join(done.output.split())
    assert "Rung 2: seeds 7, 8" in (output / "tune.html").read_text()


@pytest.mark.slow
def test_the_chosen_configuration_is_accepted_by_both_stages(finished, tiny_dataset, tmp_path):
    output, _ = finished
    config = load_config(str(output / "tuned.yaml"))
    result = json.loads((output / "tune.json").read_text())
    assert config.export.arm == "tuned"
    assert (output / "tuned.yaml").read_text().startswith("# Chosen by tfrs-pretrain tune: ")
    chosen = result["decision"]["chosen"]
    if chosen == "default":
        assert config.ranking.arms["tuned"] == config.ranking.arms["warm_start"]
    data = ["--dataset", str(tiny_dataset.folder), "--config", str(output / "tuned.yaml")]
    for command in (["pretrain", *data, "--output", str(tmp_path / "rows")],
                    ["train-ranker", *data, "--embeddings", str(tmp_path / "rows"), "--arm", "tuned", "--output",
                     str(tmp_path / "ranker")]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, repr(done.exception)
    trained = json.loads((tmp_path / "ranker" / "manifest.json").read_text())["metrics"]
    raced = next(entry["values"][0] for entry in result["rungs"][-1]["entries"] if entry["name"] == chosen)
    assert trained["validation"]["log_loss"] == raced
    assert "test" in trained


@pytest.mark.slow
def test_a_repeated_command_trains_nothing(finished, unreadable):
    output, _ = finished
    before = json.loads((output / "tune.json").read_text())
    stamps = {path: path.stat().st_mtime_ns for path in output.glob("pieces/*/*/manifest.json")}
    assert CliRunner().invoke(app, arguments(unreadable, output, CANDIDATES, "--minutes", "9")).exit_code == 0
    after = json.loads((output / "tune.json").read_text())
    assert (after["rungs"], after["decision"]) == (before["rungs"], before["decision"])
    assert {path: path.stat().st_mtime_ns for path in output.glob("pieces/*/*/manifest.json")} == stamps


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers end with a killed parent on Linux")
def test_a_killed_race_continues_and_ends_like_one_that_was_not_killed(finished, unreadable, tmp_path):
    output = tmp_path / "out"
    command = ["-c", CLI, *arguments(unreadable, output, CANDIDATES, "--minutes", "9")]
    first = start(command)
    for _ in range(12000):
        if manifests(output):
            break
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert not (output / "tune.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in output.glob("pieces/*/*/manifest.json")}
    second = start(command)
    printed = second.communicate(timeout=300)[0]
    assert second.returncode == 0, printed
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    whole, continued = (json.loads((folder / "tune.json").read_text()) for folder in (finished[0], output))
    assert (continued["rungs"], continued["decision"]) == (whole["rungs"], whole["decision"])
    assert (output / "tuned.yaml").read_text() == (finished[0] / "tuned.yaml").read_text()


def test_without_time_the_default_is_kept_and_the_page_says_so(unreadable, tmp_path):
    done = CliRunner().invoke(app, arguments(unreadable, tmp_path / "out", CANDIDATES, "--minutes", "0"))
    assert done.exit_code == 0, repr(done.exception)
    assert not manifests(tmp_path / "out")
    result = json.loads((tmp_path / "out" / "tune.json").read_text())
    assert result["decision"]["chosen"] == "default"
    assert set(result["rungs"][0]["left_out"].values()) == {"no time left"}
    config = load_config(str(tmp_path / "out" / "tuned.yaml"))
    assert config.ranking.arms["tuned"] == config.ranking.arms["warm_start"]
    assert "No candidate was compared" in (tmp_path / "out" / "tune.html").read_text()


@pytest.mark.parametrize(("split", "message"), [
    ({"examples": 0, "label_rate": 0.0}, "there are none: widen windows.validation"),
    ({"examples": 1200, "label_rate": 0.0}, "all 1,200 have the label 0: widen windows.validation"),
    ({"examples": 9, "label_rate": 1.0}, "all 9 have the label 1"),
])
def test_validation_without_impressions_or_with_one_label_is_refused(tiny_dataset, split, message):
    check_validation(tiny_dataset)
    info = tiny_dataset.info | {"splits": tiny_dataset.info["splits"] | {"impressions/validation": split}}
    with pytest.raises(UserError, match=message):
        check_validation(dataclasses.replace(tiny_dataset, info=info))


@pytest.mark.parametrize(("candidates", "message"), [
    ({"a": {"ranking.epoch": 2}}, "unknown key 'ranking.epoch'"),
    ({"a": {"seed": 2}}, "sets 'seed', which all arms share"),
    ({"a": {"windows.test": 2}}, "which all arms share"),
    ({"a": {"pretraining.epochs": 1}, "b": {}}, "every candidate has the settings of arm 'warm_start'"),
    ({"a": {"arm.transfer.evidence": -1}}, "greater than or equal to 0"),
])
def test_a_bad_candidate_is_refused_before_anything_is_trained(unreadable, tmp_path, candidates, message):
    done = CliRunner().invoke(app, arguments(unreadable, tmp_path / "out", candidates))
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert not (tmp_path / "out" / "pieces").exists()


def test_an_unknown_arm_is_refused(unreadable, tmp_path):
    done = CliRunner().invoke(app, arguments(unreadable, tmp_path / "out", CANDIDATES, "--arm", "warm"))
    assert "name one of ['scratch', 'warm_start', 'warm_start_distilled']" in str(done.exception)
