"""Logs in the shapes that people have: determined by the seed, in typical formats, with what their shape promises."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tfrs_pretrain.cli import app
from tfrs_pretrain.experiments.logs.shapes import SHAPES, write_shape_logs


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    for kind in SHAPES:
        write_shape_logs(kind, folder / kind)
    return folder


@pytest.mark.parametrize("kind", SHAPES)
def test_a_seed_determines_all_bytes(written, kind, tmp_path):
    write_shape_logs(kind, tmp_path / "again")
    write_shape_logs(kind, tmp_path / "other", seed=1)
    first, again, other = ({path.name: path.read_bytes() for path in folder.iterdir()}
                           for folder in (written / kind, tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_ratings_are_half_stars_and_follow_the_choice(written):
    ratings, movies = (pd.read_csv(written / "movies" / f"{name}.csv") for name in ("ratings", "movies"))
    assert list(ratings) == ["userId", "movieId", "rating", "timestamp"]
    assert list(movies) == ["movieId", "title", "genres"]
    assert set(ratings.rating) == set(np.arange(1, 11) / 2)
    assert 0.2 < (ratings.rating >= 4).mean() < 0.8
    assert not ratings.duplicated(["userId", "movieId"]).any()
    assert set(ratings.movieId) <= set(movies.movieId)
    assert movies.genres.str.contains("|", regex=False).any()
    counts = ratings.movieId.value_counts()
    assert counts.head(len(counts) // 10).sum() > 0.25 * len(ratings)


def test_an_order_has_one_customer_and_time_and_several_lines(written):
    orders = pd.read_parquet(written / "shop" / "orders.parquet")
    assert (orders.groupby("order_id")[["customer_id", "ordered_at", "status"]].nunique() == 1).all(axis=None)
    assert not orders.duplicated(["order_id", "product_id"]).any()
    assert 0 < (orders.status == "cancelled").mean() < 0.1
    assert orders.duplicated(["customer_id", "product_id"]).any()
    assert pq.read_schema(written / "shop" / "orders.parquet").field("ordered_at").type.unit in ("us", "ns")


def test_most_articles_are_new_each_day_and_live_for_about_a_day(written):
    lines = (written / "news" / "articles.jsonl").read_text().splitlines()
    articles = pd.DataFrame(map(json.loads, lines)).set_index("article_id")
    clicks = pd.read_json(written / "news" / "clicks.jsonl", lines=True, convert_dates=["clicked_at"])
    published = pd.to_datetime(clicks.article_id.map(articles.published_at))
    age = (clicks.clicked_at - published).dt.total_seconds()
    assert age.min() >= -1
    assert 0.3 < age.median() / 86400 < 1.5
    day = clicks.clicked_at.dt.date
    shares = [clicks.article_id[day == today].isin(clicks.article_id[day < today]).mean() for today in day.unique()[5:]]
    assert not set(clicks.article_id[day == day.iloc[-1]]) & set(clicks.article_id[:len(clicks) // 2])
    assert np.mean(shares) < 0.8


def test_the_command_keeps_an_identical_output(tmp_path):
    command = ["demo-logs", "--kind", "movies", "--output", str(tmp_path / "movies")]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    before = (tmp_path / "movies" / "ratings.csv").stat()
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    assert (tmp_path / "movies" / "ratings.csv").stat() == before
