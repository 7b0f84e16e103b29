"""Shares of impressions and ids with pretrained rows, and the warning if there are hardly any."""

import copy
from pathlib import Path

import numpy as np
import pytest

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.transfer import coverage as module
from tfrs_pretrain.ranking.transfer.coverage import coverage, print_coverage


def test_shares_of_impressions_and_of_ids(with_split):
    dataset = with_split("train", user=np.array([0, 2, 2, 3]), item=np.array([3, 0, 3, 4]),
                         user_id=np.array([900, 0, 0, 3]), item_id=["a", "b", "a", "c"])
    assert coverage(dataset, "impressions/train") == pytest.approx({
        "user_impressions": 3 / 4, "user_ids": 2 / 3, "item_impressions": 3 / 4, "item_ids": 2 / 3, "impressions": 0.5})


def test_shares_do_not_depend_on_the_batches(with_split, monkeypatch):
    random = np.random.default_rng(2)
    unknown, shared = random.integers(0, 40, 300), random.integers(0, 2, 300)
    is_known = random.random(300) < 0.5
    dataset = with_split("train", user=np.where(is_known, 2 + unknown, shared), user_id=unknown + 1000 * ~is_known,
                         item=np.full(300, 5), item_id=["ítem-2"] * 300)
    whole = coverage(dataset, "impressions/train")
    num_known, num_unknown = len(set(unknown[is_known])), len(set(unknown[~is_known]))
    assert whole["user_ids"] == num_known / (num_known + num_unknown)
    monkeypatch.setattr(module, "BATCH_SIZE", 7)
    monkeypatch.setattr(module, "MIN_PENDING", 5)
    assert coverage(dataset, "impressions/train") == whole


@pytest.mark.parametrize(("spaces", "warned"), [(("user", "item"), ["user"]), (("item",), [])])
def test_rows_that_nobody_uses_are_warned_of_with_a_reason(spaces, warned, with_split, capsys):
    dataset = with_split("train", user=np.zeros(50, int), user_id=np.arange(50) + 10**6, item=np.full(50, 5))
    print_coverage({"train": coverage(dataset, "impressions/train")}, spaces)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("! ")]
    assert [line.split(" have a ")[0] for line in lines] == ["! only 0.0% of the training impressions"] * len(warned)
    for space, line in zip(warned, lines, strict=True):
        assert f"have a pretrained {space}, because few of their ids have engagements in the pretraining window" in line
        assert line.endswith(f"widen windows.pretrain, or lower schema.{space}.min_count")


def test_shares_counted_with_the_dataset_are_those_of_its_impressions(tiny_dataset):
    for split in ("train", "validation", "test"):
        stored = coverage(tiny_dataset, f"impressions/{split}")
        info = copy.deepcopy(tiny_dataset.info)
        del info["splits"][f"impressions/{split}"]["coverage"]
        counted = coverage(Dataset(tiny_dataset.folder, info), f"impressions/{split}")
        assert 0 < stored["impressions"] <= 1
        assert {name: counted[name] for name in stored} == pytest.approx(stored)
        assert counted.keys() - stored.keys() == {"user_ids", "item_ids"}


def test_shares_counted_with_the_dataset_are_printed_without_reading_it(capsys):
    info = {"splits": {"impressions/train": {"coverage": {
        "pretrained_users": 0.5, "pretrained_items": 0.25, "pretrained_both": 0.125, "items_table": 1.0}}}}
    print_coverage({"train": coverage(Dataset(Path("nowhere"), info), "impressions/train")}, ())
    assert " ".join(capsys.readouterr().out.split()) == (
        "train: 50.0% of impressions have a pretrained user, 25.0% a pretrained item, 12.5% both")
