"""Regime logs: determined by the seed, each with the property that it names."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.experiments.logs.planted import DAYS, PRETRAIN_DAYS
from tfrs_pretrain.experiments.logs.regimes import Regime, World, write_regime_logs
from tfrs_pretrain.metrics.auc import auc

SMALL = Regime(users=300, items=200, engagements=6000, impressions=6000)


@pytest.fixture
def logs(tmp_path):
    """Writes the logs of a small regime: ``logs(**properties)`` returns table name -> frame, and the manifest."""
    def written(seed=0, **properties):
        folder = tmp_path / f"logs-{len(list(tmp_path.iterdir()))}"
        write_regime_logs(folder, dataclasses.replace(SMALL, **properties), seed=seed)
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("engagements", "impressions", "items",
                                                                                 "users")}
        return tables, read_manifest(folder, "logs")
    return written


def test_a_seed_determines_the_logs(logs):
    one, again, other = logs(1), logs(1), logs(2)
    for name, table in one[0].items():
        pd.testing.assert_frame_equal(table, again[0][name])
    assert not one[0]["engagements"].equals(other[0]["engagements"])
    assert one[1]["regime"] == dataclasses.asdict(SMALL)
    assert one[1]["rows"] == {"engagements": 6000, "impressions": 6000, "items": 200, "users": 300}


def test_engagements_end_before_the_first_impression(logs):
    tables, _ = logs()
    assert (tables["engagements"].day.min(), tables["engagements"].day.max()) == (0, PRETRAIN_DAYS - 1)
    assert (tables["impressions"].day.min(), tables["impressions"].day.max()) == (PRETRAIN_DAYS, DAYS - 1)


def test_items_are_drawn_by_popularity_and_affinity():
    world, generator = World(SMALL, np.random.default_rng(3)), np.random.default_rng(4)
    number, day = 20000, np.zeros(20000)
    factors = np.tile([2.0, 0, 0, 0], (number, 1))
    drawn = world.draw_items(factors, day, np.ones(number), generator)
    expected = np.exp(world._log_popularity + factors[0] @ world.items.T)
    expected /= expected.sum()
    shares = np.bincount(drawn, minlength=SMALL.items) / number
    np.testing.assert_allclose(shares, expected, atol=5 * np.sqrt(expected.max() / number))
    assert np.abs(shares - 1 / SMALL.items).max() > 0.02


def test_new_users_and_items_have_no_engagements(logs):
    tables, _ = logs(new_users=0.5, new_items=0.5)
    engaged, shown = tables["engagements"], tables["impressions"]
    assert 0.4 < (~shown.member.isin(engaged.member)).mean() < 0.6
    assert 0.3 < (~shown.item.isin(engaged.item)).mean() < 0.8
    old, _ = logs()
    assert old["impressions"].member.isin(old["engagements"].member).all()


def test_items_live_for_a_while(logs):
    tables, _ = logs(lifetime_days=3.0)
    events = pd.concat([tables["engagements"], tables["impressions"]])
    spans = events.groupby("item").ts.agg(lambda times: (times.max() - times.min()).total_seconds() / 86400)
    assert 1 < spans.max() <= 3
    assert (~tables["impressions"].item.isin(tables["engagements"].item)).mean() > 0.6


@pytest.mark.parametrize(("properties", "low", "high"), [({}, 0.8, 0.9), ({"label_noise": 0.8}, 0.5, 0.62)])
def test_noise_bounds_the_best_auc(logs, properties, low, high):
    assert low < logs(**properties)[1]["best_auc"] < high


def test_drift_replaces_the_factors_by_independent_ones():
    user = np.arange(SMALL.users)
    for drift, expected in ((0.0, 1.0), (1.0, 0.0)):
        world = World(dataclasses.replace(SMALL, drift=drift), np.random.default_rng(0))
        first, last = (world.users(user, np.full(SMALL.users, float(day))) for day in (0, DAYS))
        assert np.corrcoef(first.ravel(), last.ravel())[0, 1] == pytest.approx(expected, abs=0.12)


def test_topics_and_quality_inform_about_items(logs):
    tables, _ = logs()
    shown = tables["impressions"].merge(tables["items"], on="item")
    assert auc(shown.clicked.to_numpy(), shown.quality.to_numpy()) > 0.52
    assert set(tables["items"].topic_id) == set(range(16))
