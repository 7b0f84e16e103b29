"""What a study says of its item rows: whose they are, which items, which feature."""

import dataclasses

import pyarrow.parquet as pq
import pytest
from made_study import CATEGORIES, ITEMS, make_study

from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.results.collect import collect
from tfrs_pretrain.results.embedding_map import item_categories


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


def test_rows_of_another_dataset_are_other_items(tmp_path):
    study = make_study(tmp_path)
    for name in ("warm-1", "distilled-1"):
        manifest = read_manifest(tmp_path / name, "ranker")
        write_manifest(tmp_path / name, "ranker", {k: v for k, v in manifest.items() if k != "kind"} | {
            "dataset_digest": "e" * 64})
    assert [one["title"] for one in collect(study)["embedding_map"]["maps"]] == ["scratch"]


def test_tables_that_are_not_there_are_left_out(tmp_path):
    study = make_study(tmp_path)
    for path in tmp_path.glob("*/tables/item.npy"):
        path.unlink()
    assert [one["title"] for one in collect(study)["embedding_map"]["maps"]] == ["Stage I"]
