"""Planted logs: determined by the seed, long-tailed, with engagements that predict clicks."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from planted import planted_config

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.experiments.logs.planted import write_planted_logs


def test_a_seed_determines_all_bytes(planted_logs, tmp_path):
    write_planted_logs(tmp_path / "again")
    write_planted_logs(tmp_path / "other", seed=1)
    for path in planted_logs.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    assert ((tmp_path / "other" / "engagements.parquet").read_bytes()
            != (planted_logs / "engagements.parquet").read_bytes())


def test_columns_have_other_types_than_the_demo(planted_logs):
    types = {name: {field.name: str(field.type) for field in pq.read_schema(planted_logs / f"{name}.parquet")}
             for name in ("engagements", "impressions", "items", "users")}
    assert types["engagements"] == {"day": "int32", "ts": "timestamp[us]", "member": "int64", "item": "string"}
    items, users = (pd.read_parquet(planted_logs / f"{name}.parquet") for name in ("items", "users"))
    assert not items.item[0].isascii()
    assert 0 < items.quality.isna().mean() < 1
    assert 0 < users.country.isna().mean() < 1


def test_popularity_has_a_long_tail(planted_logs):
    engagements = pd.read_parquet(planted_logs / "engagements.parquet")
    counts = engagements.item.value_counts()
    assert counts.head(40).sum() > 0.5 * len(engagements)
    assert (counts <= 5).mean() > 0.1


def test_engagements_predict_clicks(planted_logs):
    """Affinities estimated from the engagements of the pretraining window separate clicks from non-clicks."""
    engagements, impressions = (pd.read_parquet(planted_logs / f"{name}.parquet")
                                for name in ("engagements", "impressions"))
    counts = engagements[engagements.day < 20].groupby(["member", "item"]).size().unstack(fill_value=0)
    expected = counts.sum(1).to_numpy()[:, None] * counts.sum(0).to_numpy() / counts.to_numpy().sum()
    left, scale, right = np.linalg.svd((counts.to_numpy() - expected) / np.sqrt(expected), full_matrices=False)
    score = pd.DataFrame(left[:, :4] * scale[:4] @ right[:4] / np.sqrt(expected / expected.sum(1, keepdims=True)),
                         counts.index, counts.columns)
    test = impressions[(impressions.day >= 30) & impressions.item.isin(score.columns)]
    values = np.array([score.at[row.member, row.item] for row in test.itertuples()])
    clicked = test.clicked.to_numpy() == 1
    ranks = pd.Series(values).rank().to_numpy()
    auc = (ranks[clicked].mean() - (clicked.sum() + 1) / 2) / (~clicked).sum()
    assert auc > 0.65


def test_configuration_is_valid_and_sections_can_be_replaced():
    config = Config.model_validate(planted_config(seed=3))
    assert config.seed == 3
    assert set(config.ranking.arms) == {"scratch", "warm_start", "warm_start_distilled"}


def test_logs_have_the_requested_sizes_and_known_statistics(tmp_path):
    """Days cover the range in order; clicks follow the surface's bias; half of the shown items follow popularity."""
    write_planted_logs(tmp_path / "logs", users=50, items=60, engagements=3000, impressions=4000, seed=2)
    tables = {name: pd.read_parquet(tmp_path / "logs" / f"{name}.parquet")
              for name in ("engagements", "impressions", "items", "users")}
    assert {name: len(table) for name, table in tables.items()} == {
        "engagements": 3000, "impressions": 4000, "items": 60, "users": 50}
    manifest = read_manifest(tmp_path / "logs", "logs")
    assert (manifest["rows"], manifest["seed"]) == ({name: len(table) for name, table in tables.items()}, 2)
    shown = tables["impressions"]
    assert (shown.day.min(), shown.day.max()) == (0, 33)
    assert shown.ts.is_monotonic_increasing
    assert ((shown.ts - pd.Timestamp("2024-03-01")).dt.days == shown.day).all()
    rates = shown.groupby("surface").clicked.mean()
    assert rates["search"] > rates["home"] > rates["related"]  # biases -0.5, -1.5, -2
    assert tables["users"].member.tolist() == [1000 + 17 * number for number in range(50)]
    first = (shown.item == "ítem-0").mean()
    expected = 0.5 / (1 / np.arange(1, 61)).sum() + 0.5 / 60
    assert abs(first - expected) < 4 * np.sqrt(expected / 4000)
    assert set(tables["users"].country.dropna()) == {"Perú", "Österreich", "日本"}
    assert 0.75 < manifest["best_auc"] < 0.95


def test_taste_turns_and_items_appear(tmp_path):
    """Clicks of the last days follow factors that are unrelated to those of the first days."""
    for name, drift in (("steady", 0.0), ("turned", np.pi / 2 / 33)):
        write_planted_logs(tmp_path / name, users=40, items=30, engagements=20000, impressions=30000, seed=2,
                           drift=drift, new_items=0.5)
    rates = {}
    for name in ("steady", "turned"):
        log = pq.read_table(tmp_path / name / "impressions.parquet").to_pandas()
        early, late = (part.groupby(["member", "item"]).clicked.mean()
                       for part in (log[log.day < 6], log[log.day > 27]))
        rates[name] = np.corrcoef(*early.align(late, join="inner"))[0, 1]
        first = pq.read_table(tmp_path / name / "engagements.parquet").to_pandas().groupby("item").day.min()
        assert 0.2 < (first > 3).mean() < 0.6
        assert log.groupby("item").day.min().reindex(first.index).max() > 15
    assert rates["steady"] > 0.4
    assert rates["turned"] < 0.5 * rates["steady"]
