"""Parts of the results: Stage I, datasets, machines, selection of arms, diagnosis, text."""

import dataclasses
import json

import pytest
from example_study import SEEDS, write_dataset, write_example

from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.reporting.study_report import write_study
from tfrs_pretrain.results.arms import validation_curve
from tfrs_pretrain.results.collect import to_text
from tfrs_pretrain.results.datasets import datasets
from tfrs_pretrain.results.diagnosis import read_diagnosis
from tfrs_pretrain.results.machines import machines
from tfrs_pretrain.results.selection import headline_arm, shown_arms
from tfrs_pretrain.results.stage_one import stage_one


def test_distinct_settings_of_stage_one_name_their_differences(tmp_path):
    study = write_example(tmp_path)
    manifests = {seed: read_manifest(tmp_path / f"rows-{seed}", "embeddings") for seed in SEEDS}
    manifests[2]["window"]["end"] = 29
    manifests[3]["config"]["pretraining"]["epochs"] = 12
    for seed, manifest in manifests.items():
        write_manifest(tmp_path / f"rows-{seed}", "embeddings", {k: v for k, v in manifest.items() if k != "kind"})
    first, second, third = stage_one(study)["settings"]
    assert (first["differs"], first["seeds"], first["arms"]) == ({}, 1, ["warm", "distilled"])
    assert (second["differs"], third["differs"]) == ({"windows.pretrain.end": 29}, {"pretraining.epochs": 12})


def test_curves_of_stage_one_are_means_over_seeds(study):
    [setting] = stage_one(study)["settings"]
    assert setting["seeds"] == 3
    assert [epoch["heldout_loss"] for epoch in setting["epochs"]] == pytest.approx([10.0, 9.0, 8.0, 7.0])
    assert setting["epochs"][1]["heldout_loss_by_seed"] == [8.0, 9.0, 10.0]
    assert [epoch["train_loss"] for epoch in setting["epochs"]] == [None, 6.0, 5.0, 4.0]
    assert setting["seconds"] == 8.0


def test_stage_one_is_empty_without_pretrained_rows(study):
    assert stage_one(dataclasses.replace(study, arms=study.arms[:1])) == {}


def test_distinct_datasets_name_their_differences(tmp_path):
    study = write_example(tmp_path)
    gap = write_dataset(tmp_path / "gap", "windows.pretrain.end=29")
    runs = [dataclasses.replace(run, dataset=gap) for run in study.arms[1].runs]
    found = datasets(dataclasses.replace(study, arms=[study.arms[0], dataclasses.replace(study.arms[1], runs=runs)]))
    assert [(one["arms"], one["differs"]) for one in found] == [
        (["scratch"], {}), (["warm"], {"windows.pretrain.end": 29})]


def test_machines_are_counted_by_artifacts(tmp_path):
    study = write_example(tmp_path)
    assert machines(study) == []  # manifests of older versions name no machine

    def note(folder, kind, processor):
        manifest = {key: value for key, value in read_manifest(folder, kind).items() if key != "kind"}
        write_manifest(folder, kind, manifest | {"machine": {"processor": processor, "cores": 4}})

    runs = [run for arm in study.arms for run in arm.runs]
    for run in runs:
        note(run.ranker, "ranker", "large" if run.seed == SEEDS[0] else "small")
    note(runs[-1].embeddings, "embeddings", "small")
    assert machines(study) == [{"processor": "small", "cores": 4, "artifacts": 7},
                               {"processor": "large", "cores": 4, "artifacts": 3}]


def arms(**losses):
    kinds = {"s": "scratch", "r": "one-epoch remedy", "t": "two-stage", "d": "two-stage"}
    return {name: {"test": {}, "kind": kinds[name[0]], "teacher": {} if name[0] != "d" else {"weight": 1},
                   "runs": [{"epochs": 3 if name in ("s3", "t2") else 1}], "validation": {"log_loss": {"mean": loss}}}
            for name, loss in losses.items()}


def test_shown_arms_are_the_best_of_their_kinds_on_validation():
    many = arms(s1=0.5, s3=0.6, s2=0.55, r1=0.4, r2=0.45, r3=0.49, t1=0.3, t2=0.31, d1=0.32, d2=0.33)
    assert headline_arm(many, "s1", None) == "t1"
    assert shown_arms(many, "s1", None) == ["s1", "s3", "r1", "t1", "t2", "d1"]
    assert shown_arms(many, "r3", None) == ["s3", "r1", "r3", "t1", "t2", "d1"]
    del many["t2"]
    assert shown_arms(many, "s1", None) == ["s1", "s3", "r1", "r2", "t1", "d1"]
    assert headline_arm(many, "s1", {"arm": "d2"}) == "d2"
    few = arms(s1=0.5, t1=0.3)
    assert shown_arms(few, "s1", None) == ["s1", "t1"]
    assert headline_arm(arms(s1=0.5), "s1", None) == "s1"
    failed = arms(s1=0.5) | {"t1": {"kind": "two-stage"}}
    assert (headline_arm(failed, "s1", None), shown_arms(failed, "s1", None)) == ("s1", ["s1"])


def test_validation_curve_prefers_mid_epoch_evaluations():
    epochs = [{"epoch": epoch, "examples": 100, "train": {"hard": 0.5, "loss": 0.9},
               "validation": {"log_loss": 0.3, "auc": None}} for epoch in (1, 2)]
    assert validation_curve({"epochs": epochs}) == [
        {"epoch": 1.0, "examples": 100, "train_loss": 0.5, "log_loss": 0.3, "auc": None},
        {"epoch": 2.0, "examples": 200, "train_loss": 0.5, "log_loss": 0.3, "auc": None}]
    evaluations = [{"epoch": 0.5, "examples": 50, "train_loss": 0.6, "log_loss": 0.4, "auc": 0.7}]
    assert validation_curve({"epochs": epochs, "curve": evaluations}) == evaluations


def test_a_diagnosis_is_read_from_the_folder_or_its_subfolder(tmp_path):
    assert read_diagnosis(tmp_path) is None
    content = {"verdict": "none", "confidence": 0.9, "before": 0.6, "border": 0.0, "border_low": 0.0,
               "border_high": 0.0, "end": 0.0, "blamed": [], "stop_after_epochs": 1, "controls": {},
               "log_loss_at_epoch_ends": [0.6, 0.6], "held_out_impressions": 100, "extent": {}, "seed": 1,
               "resampling": {}, "gap": [], "seconds": 2.5, "dataset_digest": "d" * 64, "ranking": {}}
    (tmp_path / "diagnosis").mkdir()
    path = tmp_path / "diagnosis" / "diagnosis.json"
    path.write_text(json.dumps(content))
    found = read_diagnosis(tmp_path)
    assert found["verdict"] == "none"
    assert found["advice"][0].startswith("none (confidence 90%)")
    path.write_text("{}")
    with pytest.raises(UserError, match="is not a diagnosis of this version"):
        read_diagnosis(tmp_path)


def test_text_has_lists_of_plain_values_on_one_line():
    tree = {"list": [1, 2.5, None, "a, [b]"], "nested": [{"x": [1]}, []], "text": "[\n 1,\n 2\n]", "ü": True}
    text = to_text(tree)
    assert json.loads(text) == tree
    assert '"nested": [\n  {\n   "x": [1]\n  },\n  []\n ]' in text
    assert "ü" in text


def test_write_study_writes_results_and_both_reports(tmp_path):
    study = write_example(tmp_path)
    results = write_study(study)
    assert json.loads((tmp_path / "results.json").read_text()) == json.loads(json.dumps(results))
    for name in ("report.html", "report.md"):
        assert "did not finish (broken, seed 1: the loss is not finite)" in (tmp_path / name).read_text()
    assert results["seeds"] == list(SEEDS)
