"""Items that colour the embedding map, from predictions of a few rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.results.embedding_map import MAX_COLOURS, MAX_DRAWN, OTHER, _colour_indices, _map
from tfrs_pretrain.results.item_categories import item_categories
from tfrs_pretrain.study import Run


@pytest.fixture
def run(tmp_path):
    """Write predictions of two splits, with these columns."""

    def written(validation, test):
        (tmp_path / "predictions").mkdir()
        for split, columns in (("validation", validation), ("test", test)):
            pq.write_table(pa.table(columns), tmp_path / "predictions" / f"{split}.parquet")
        write_manifest(tmp_path, "ranker", {})
        return Run(1, tmp_path, None, Path("data"))

    return written


def columns(items, counts, **features):
    return {"item": items, "item_count": counts, **{f"feature.{name}": values for name, values in features.items()}}


def test_items_of_all_splits_with_enough_engagements_and_a_known_value(run):
    found = item_categories(run(
        columns([4, 2, 2, 7], [5, 9, 9, 4], kind=["tea", "milk", "milk", "tea"]),
        columns([9, 8, 4], [6, 6, 5], kind=["(unknown)", "milk", "tea"])), ["kind"])
    assert found.feature == "kind"
    assert found.items.tolist() == [2, 4, 8]  # 7 is too rare, 9 is unknown
    assert found.categories.tolist() == ["milk", "tea", "milk"]


def test_the_feature_with_the_most_values_up_to_forty_is_used(run):
    items = np.arange(45)
    table = columns(items, np.full(45, 9), two=[str(item % 2) for item in items],
                    forty=[str(item % 40) for item in items], ids=[str(item) for item in items],
                    single=["a"] * 45)
    one = run(table, table)
    assert item_categories(one, ["two", "forty", "ids", "single"]).feature == "forty"
    assert item_categories(one, ["two", "ids", "single"]).feature == "two"
    assert item_categories(one, ["ids", "single", "absent"]) is None


def test_predictions_without_counts_or_files_have_no_categories(run, tmp_path):
    table = {"item": [1, 2], "feature.kind": ["a", "b"]}
    assert item_categories(run(table, table), ["kind"]) is None
    assert item_categories(Run(1, tmp_path / "absent", None, Path("data")), ["kind"]) is None


def test_the_largest_categories_have_colours():
    names = [f"n{index}" for index in range(MAX_COLOURS + 2)]
    categories = np.repeat(names, range(1, len(names) + 1))
    coloured, indices = _colour_indices(categories)
    assert coloured == names[:1:-1]
    assert indices[:3] == [OTHER] * 3  # one n0 and two n1
    assert indices[-1] == 0
    assert len(_colour_indices(np.repeat("a", MAX_DRAWN + 5))[1]) == MAX_DRAWN


def test_a_map_has_unit_range_and_the_explained_variance():
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]] * 3)
    found = _map(rows, np.array(["a", "b", "c", "d"] * 3))
    assert found["dim"] == 2
    assert found["explained"] == [0.5, 0.5]
    assert max(map(abs, found["x"] + found["y"])) == 1.0
    assert found["purity"] == pytest.approx(2 / 10)  # of 10 neighbours, the two equal rows
    assert _map(rows[:10], np.array(["a"] * 10))["purity"] is None  # fewer rows than neighbours need
