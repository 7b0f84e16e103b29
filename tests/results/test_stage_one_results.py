"""Results of Stage I from manifests of a few epochs, against literals."""

import json
from types import SimpleNamespace

import pytest

from tfrs_pretrain.config import load_config
from tfrs_pretrain.results.stage_one import stage_one
from tfrs_pretrain.study import Run, StudiedArm

CONFIG = load_config("completejourney")


def epoch(number, heldout, train=None, **metrics):
    return {"epoch": number, "heldout_loss": heldout, "train_loss": train, **metrics}


def write(folder, *epochs, overrides=()):
    config = load_config("completejourney", list(overrides)).resolved()
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({
        "kind": "embeddings", "config": config, "window": config["windows"]["pretrain"], "kept_epoch": len(epochs) - 1,
        "replicas": 1, "tables": {"item": {"shape": [3, 2]}}, "epochs": epochs}))
    return folder


def results(tmp_path, **folders):
    arms = [StudiedArm(name, {}, [Run(seed, tmp_path, tmp_path / folder if folder else None, tmp_path)
                                  for seed, folder in enumerate(names)]) for name, names in folders.items()]
    return stage_one(SimpleNamespace(arms=arms, config=CONFIG))


def test_metrics_are_means_over_seeds_up_to_the_shortest_run(tmp_path):
    write(tmp_path / "a", epoch(0, 8.0, **{"recall@10": 0.1}), epoch(1, 6.0, 7.0, seconds=2.0, evaluation_seconds=0.5),
          epoch(2, 5.0, 6.0, seconds=2.0))
    write(tmp_path / "b", epoch(0, 9.0, **{"recall@10": None}), epoch(1, 7.0, 8.0, seconds=3.0))
    found = results(tmp_path, warm=["a", "b"])
    assert (found["heldout_loss_before_training"], found["heldout_loss"]) == (8.5, [6.5])
    [setting] = found["settings"]
    assert setting["seconds"] == pytest.approx((4.5 + 3.0) / 2)
    assert setting["seeds"] == 2
    assert setting["epochs"] == [
        {"epoch": 0, "heldout_loss": 8.5, "heldout_loss_by_seed": [8.0, 9.0], "train_loss": None, "recall@10": None},
        {"epoch": 1, "heldout_loss": 6.5, "heldout_loss_by_seed": [6.0, 7.0], "train_loss": 7.5}]


def test_intervals_are_means_over_seeds(tmp_path):
    sample = {"queries": 20, "eligible_users": 90}
    for name, low, high in (("a", 0.1, 0.5), ("b", 0.3, 0.9)):
        ends = {"recall@10": [low, high], "recall@50": None if name == "a" else [0, 1], "mrr@10": [0, 1]}
        write(tmp_path / name, epoch(0, 8.0, **sample, intervals=ends))
    [found] = results(tmp_path, warm=["a", "b"])["settings"][0]["epochs"]
    assert {key: found[key] for key in sample} == sample
    assert found["intervals"] == {"recall@10": pytest.approx([0.2, 0.7]), "recall@50": None}


def test_embeddings_of_several_arms_count_once(tmp_path):
    write(tmp_path / "a", epoch(0, 8.0), epoch(1, 6.0))
    [setting] = results(tmp_path, warm=["a"], frozen=["a"], scratch=[None])["settings"]
    assert (setting["arms"], setting["seeds"]) == (["warm", "frozen"], 1)


def test_the_setting_closest_to_the_configuration_comes_first(tmp_path):
    write(tmp_path / "far", epoch(0, 9.0), epoch(1, 8.0),
          overrides=["pretraining.epochs=9", "pretraining.batch_size=16"])
    write(tmp_path / "near", epoch(0, 8.0), epoch(1, 6.0), overrides=["pretraining.epochs=9"])
    found = results(tmp_path, first=["far"], second=["near"])
    assert [setting["differs"] for setting in found["settings"]] == [
        {"pretraining.epochs": 9}, {"pretraining.batch_size": 16, "pretraining.epochs": 9}]
    assert found["heldout_loss"] == [6.0]


def test_arms_from_scratch_have_no_stage_one(tmp_path):
    assert results(tmp_path, scratch=[None, None]) == {}
