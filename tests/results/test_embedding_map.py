"""The picture against scikit-learn's PCA, neighbour purity against a naive twin, and what a study gives of both."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_study import CATEGORIES, ITEMS, make_study
from sklearn.decomposition import PCA

from tfrs_pretrain.results import collect
from tfrs_pretrain.results.embedding_map import chance, item_categories, neighbour_purity, principal_components


def test_components_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    rows = (random.normal(size=(300, 8)) * np.arange(1, 9) + 5).astype(np.float32)
    points, explained = principal_components(rows)
    twin = PCA(2).fit(rows.astype(np.float64))
    assert explained == pytest.approx(twin.explained_variance_ratio_, rel=1e-6)
    assert np.abs(points) == pytest.approx(np.abs(twin.transform(rows)), rel=1e-4, abs=1e-4)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()


def test_purity_is_the_share_of_like_neighbours():
    random = np.random.default_rng(2)
    rows, categories = random.normal(size=(1500, 6)).astype(np.float32), random.integers(0, 4, 1500)
    shares = []
    for row in range(len(rows)):
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(rows[row])
        nearest = [other for other in np.argsort(-(rows @ rows[row]) / lengths) if other != row][:10]
        shares.append(np.mean(categories[nearest] == categories[row]))
    assert neighbour_purity(rows, categories) == pytest.approx(np.mean(shares), abs=1e-4)


def test_purity_of_random_rows_is_chance_and_of_sorted_ones_is_one():
    random = np.random.default_rng(3)
    categories = random.integers(0, 3, 2000)
    assert neighbour_purity(random.normal(size=(2000, 16)), categories) == pytest.approx(chance(categories), abs=0.02)
    assert neighbour_purity(np.eye(3)[categories] + random.normal(0, 0.01, (2000, 3)), categories) == 1.0
    assert chance(np.array([0, 0, 1])) == pytest.approx(1 / 3)


def test_a_study_shows_rows_of_stage_one_of_the_warm_arm_and_of_scratch(study):
    found = collect(study)["embedding_map"]
    assert [one["title"] for one in found["maps"]] == ["Stage I", "warm", "scratch"]
    assert found["feature"] == "department"
    assert set(found["categories"]) == set(CATEGORIES)
    purities = [one["purity"] for one in found["maps"]]
    assert purities[0] == 1.0  # made to know the category
    assert purities[2] == pytest.approx(found["chance"], abs=0.05)  # random rows
    assert found["items"] == len(found["category"]) == ITEMS - 25  # counts are max(item - 20, 0), at least 5
    assert len(found["maps"][0]["x"]) == found["drawn"]
    table = pq.read_table(study.arms[0].runs[0].ranker / "predictions" / "test.parquet")
    expected = dict(zip(table["item"].to_pylist(), table["feature.department"].to_pylist(), strict=True))
    _, items, values = item_categories(study.arms[0].runs[0], ["department"])
    assert [expected[item] for item in items] == values.tolist()


def test_a_feature_with_one_known_value_does_not_colour_a_map(study):
    assert item_categories(study.arms[0].runs[0], ["brand"]) is None
    assert item_categories(study.arms[0].runs[0], []) is None
    bare = study.config.schema_.model_copy(update={"features": ()})
    config = study.config.model_copy(update={"schema_": bare})
    assert collect(dataclasses.replace(study, config=config))["embedding_map"] is None


def test_tables_that_are_not_there_are_left_out(tmp_path):
    study = make_study(tmp_path)
    for path in tmp_path.glob("*/tables/item.npy"):
        path.unlink()
    assert [one["title"] for one in collect(study)["embedding_map"]["maps"]] == ["Stage I"]
