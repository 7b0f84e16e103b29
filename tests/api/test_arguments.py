"""Configurations, datasets and folders in every form that the public functions take."""

import json
import types
from pathlib import Path

import pytest
import yaml
from planted import planted_config as planted_tree

import tfrs_pretrain as tp
from tfrs_pretrain.api import arguments, stages


def test_a_configuration_is_a_file_a_mapping_or_an_object(tmp_path, planted_config):
    path = tmp_path / "planted.yaml"
    path.write_text(yaml.safe_dump(planted_tree()))
    for given in (path, str(path), planted_tree(), planted_config):
        assert tp.load_config(given) == planted_config
        changed = tp.load_config(given, ["pretraining.epochs=1"])
        assert changed.pretraining.epochs == 1
        assert changed.resolved() | {"pretraining": None} == planted_config.resolved() | {"pretraining": None}
    assert planted_config.pretraining.epochs == 3
    assert tp.load_config("completejourney").name == "completejourney_ranker"


@pytest.mark.parametrize(("given", "message"), [
    ("absent.yaml", "'absent.yaml' cannot be read"),
    (Path("absent.yaml"), "'absent.yaml' cannot be read"),
    (planted_tree(sed=1), "sed"),
])
def test_an_invalid_configuration_is_one_line(given, message):
    with pytest.raises(tp.UserError, match=message) as caught:
        tp.load_config(given)
    assert "\n" not in str(caught.value)


def test_a_dataset_is_an_object_or_its_folder(tiny_dataset):
    assert arguments.as_dataset(tiny_dataset) is tiny_dataset
    for given in (tiny_dataset.folder, str(tiny_dataset.folder)):
        assert arguments.as_dataset(given).info == tiny_dataset.info


def test_a_run_uses_the_configuration_of_its_dataset(tiny_dataset, planted_config):
    assert arguments.run_config(tiny_dataset, None, ()) == planted_config
    assert arguments.run_config(tiny_dataset, None, ["seed=8"]).seed == 8
    assert arguments.run_config(tiny_dataset, planted_tree(seed=9), ()).seed == 9
    other = planted_config.resolved()
    other["windows"]["test"]["end"] += 1
    with pytest.raises(tp.UserError, match=r"built with another configuration, first in windows\.test\.end"):
        arguments.run_config(tiny_dataset, other, ())


def test_stages_receive_opened_inputs_and_paths(monkeypatch, tiny_dataset, tmp_path):
    received = []

    def record(*arguments, **options):
        received.append((arguments, options))
        return types.SimpleNamespace(path=tmp_path)  # of an exported version

    for name in ("pretraining.run.pretrain", "ranking.run.train_arm", "serving.exporting.export.export",
                 "evaluation.evaluate.evaluate"):
        monkeypatch.setattr(f"tfrs_pretrain.{name}", record)
    stored = arguments.run_config(tiny_dataset, None, ())
    embeddings = tp.Embeddings(tmp_path / "rows", {})
    tp.pretrain(str(tiny_dataset.folder), str(tmp_path / "e"), start_from=embeddings)
    tp.train_ranker(tiny_dataset, tmp_path / "r", embeddings=str(tmp_path / "e"), test=False)
    tp.train_ranker(tiny_dataset, tmp_path / "r", arm="scratch", overrides=["seed=3"], overwrite=True,
                    baseline=str(tmp_path / "b"), start_from=str(tmp_path / "old"),
                    start_from_dataset=tmp_path / "then")
    tp.export(tiny_dataset, str(tmp_path / "r"))
    tp.evaluate(str(tmp_path / "r"), str(tmp_path / "q"), slices=["topic"], replicates=50)
    (pretrained, started), (trained, warm), (again, cold), (exported, _), (evaluated, compared) = received
    assert pretrained[0] == stored
    assert pretrained[1].info == tiny_dataset.info
    assert (pretrained[2], started) == (tmp_path / "e", {"start_from": tmp_path / "rows", "overwrite": False})
    assert trained == (stored, tiny_dataset, stored.export.arm, tmp_path / "r")
    assert warm == {"embeddings": tmp_path / "e", "scratch": None, "overwrite": False, "test": False,
                    "start_from": None, "start_from_dataset": None}
    assert (again[0].seed, again[2], cold["embeddings"], cold["overwrite"]) == (3, "scratch", None, True)
    assert [cold[name] for name in ("scratch", "start_from", "start_from_dataset")] == [
        tmp_path / "b", tmp_path / "old", tmp_path / "then"]
    assert exported == (stored, tiny_dataset, tmp_path / "r", Path("saved_models"))
    assert evaluated == (tmp_path / "r", tmp_path / "q")
    assert (compared["slices"], compared["resampling"].replicates) == (["topic"], 50)


def test_evaluation_scores_the_given_datasets(monkeypatch, tiny_dataset):
    opened = []
    monkeypatch.setattr("tfrs_pretrain.ranking.rescore.scoring", lambda datasets: opened.extend(datasets) or "reader")
    monkeypatch.setattr("tfrs_pretrain.evaluation.evaluate.evaluate", lambda *_, read, **__: read)
    assert tp.evaluate("r", datasets=[tiny_dataset, str(tiny_dataset.folder)]) == "reader"
    assert [dataset.info for dataset in opened] == [tiny_dataset.info] * 2


def test_a_dataset_is_built_extended_and_opened(planted_config, planted_logs, tiny_dataset, tmp_path):
    built = tp.build_dataset(planted_config, str(planted_logs), str(tmp_path / "d"), overrides=["dataset.shards=1"],
                             extend=tiny_dataset)
    assert isinstance(built, tp.Dataset)
    assert json.loads((tmp_path / "d" / "dataset_info.json").read_text())["config"]["dataset"]["shards"] == 1
    assert built.info["extended"].keys() >= {"user", "item"}
    assert built.digests == tiny_dataset.digests


def test_settings_of_the_bootstrap_are_checked():
    with pytest.raises(tp.UserError, match="replicates must be at least 1 and confidence between 0 and 1"):
        tp.evaluate("r", confidence=95)


def test_a_remote_output_is_refused_before_the_job_starts(planted_config, monkeypatch):
    monkeypatch.setattr(stages, "load_config", None)
    with pytest.raises(tp.UserError, match="remote file system"):
        tp.build_dataset(planted_config, ".", "gs://bucket/dataset")
