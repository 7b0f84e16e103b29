"""Gowalla as engagements and derived impressions, from a literal split."""

import numpy as np
import pandas as pd
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.logs.gowalla import NEGATIVES, write_logs


@pytest.fixture
def visits():
    random = np.random.default_rng(0)
    pairs = pd.DataFrame({"user_id": random.integers(0, 50, 3000), "item_id": random.zipf(1.3, 3000) % 400})
    pairs = pairs.drop_duplicates()
    return pairs.assign(split=random.choice(["train", "valid", "test"], len(pairs), p=[0.7, 0.2, 0.1]))


def written(visits, folder, seed=1):
    (folder / "data").mkdir(exist_ok=True)
    visits.to_parquet(folder / "data" / "interactions.parquet")
    write_logs(folder / "data", folder / "out", seed=seed, overwrite=True)
    return {path.stem: pd.read_parquet(path) for path in (folder / "out").glob("*.parquet")}


def pairs(table):
    return set(zip(table["user_id"], table["item_id"], strict=True))


def test_visits_become_engagements_and_positives_and_negatives_were_never_visited(visits, tmp_path):
    logs = written(visits, tmp_path)
    of = {name: visits[visits["split"] == name] for name in ("train", "valid", "test")}
    assert pairs(logs["engagements"]) == pairs(of["train"])
    shown = logs["impressions"]
    assert not shown.duplicated(["user_id", "item_id"]).any()
    assert pairs(shown[(shown["label"] == 1) & shown["part"].isin([1, 2])]) == pairs(of["valid"])
    assert pairs(shown[(shown["label"] == 1) & (shown["part"] == 3)]) == pairs(of["test"])
    negatives = shown[shown["label"] == 0]
    assert not pairs(negatives) & pairs(visits)
    assert 0.3 * NEGATIVES < len(negatives) / (shown["label"] == 1).sum() <= NEGATIVES
    assert 0.1 < (shown["part"] == 2).sum() / shown["part"].isin([1, 2]).sum() < 0.3
    assert shown["position"].is_monotonic_increasing
    assert shown["part"].is_monotonic_increasing
    assert logs["items"]["item_id"].tolist() == sorted(visits["item_id"].unique())


def test_the_seed_determines_the_impressions(visits, tmp_path):
    first, again, other = (written(visits, tmp_path, seed)["impressions"] for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_other_files_are_refused(visits, tmp_path):
    with pytest.raises(UserError, match=r"expected interactions\.parquet, but it is missing"):
        write_logs(tmp_path, tmp_path / "out", seed=1)
    visits.drop(columns="split").to_parquet(tmp_path / "interactions.parquet")
    with pytest.raises(UserError, match="has no column 'split'"):
        write_logs(tmp_path, tmp_path / "out", seed=1)
