"""The embedding map: its tables, its items and the feature that colours it."""

import dataclasses

import pyarrow.parquet as pq
import pytest
from example_study import CATEGORIES, ITEMS, write_example

from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.results.collect import collect
from tfrs_pretrain.results.item_categories import item_categories


def test_maps_are_of_stage_one_the_warm_arm_and_an_arm_from_scratch(study):
    found = collect(study)["embedding_map"]
    assert [one["title"] for one in found["maps"]] == ["Stage I", "warm", "scratch"]
    assert found["feature"] == "department"
    assert set(found["categories"]) == set(CATEGORIES)
    purities = [one["purity"] for one in found["maps"]]
    assert purities[0] == 1.0  # their first columns are the category
    assert purities[2] == pytest.approx(found["chance"], abs=0.05)  # random rows
    assert found["items"] == len(found["category"]) == ITEMS - 25  # counts are max(item - 20, 0), at least 5
    assert len(found["maps"][0]["x"]) == found["drawn"]
    table = pq.read_table(study.arms[0].runs[0].ranker / "predictions" / "test.parquet")
    expected = dict(zip(table["item"].to_pylist(), table["feature.department"].to_pylist(), strict=True))
    found = item_categories(study.arms[0].runs[0], ["department"])
    assert [expected[item] for item in found.items] == found.categories.tolist()


def test_a_feature_with_one_known_value_colours_no_map(study):
    assert item_categories(study.arms[0].runs[0], ["brand"]) is None
    assert item_categories(study.arms[0].runs[0], []) is None
    bare = study.config.schema_.model_copy(update={"features": ()})
    config = study.config.model_copy(update={"schema_": bare})
    assert collect(dataclasses.replace(study, config=config))["embedding_map"] is None


def test_tables_of_another_dataset_are_left_out(tmp_path):
    study = write_example(tmp_path)
    for name in ("warm-1", "distilled-1"):
        manifest = read_manifest(tmp_path / name, "ranker")
        write_manifest(tmp_path / name, "ranker", {k: v for k, v in manifest.items() if k != "kind"} | {
            "dataset_digest": "e" * 64})
    assert [one["title"] for one in collect(study)["embedding_map"]["maps"]] == ["scratch"]


def test_missing_tables_are_left_out(tmp_path):
    study = write_example(tmp_path)
    for path in tmp_path.glob("*/tables/item.npy"):
        path.unlink()
    assert [one["title"] for one in collect(study)["embedding_map"]["maps"]] == ["Stage I"]
