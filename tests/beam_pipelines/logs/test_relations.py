"""Relations of engagements: blocks have relation and weight; unknown relations are rejected, weight 0 is excluded."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset, pair_columns
from tfrs_pretrain.data.pairs import pair_blocks

SURFACES = np.array(["save", "click", "view", "hide", None, "blink"], object)
WEIGHTS = {"view": 0.25, "save": 3.0, "hide": 0.0, "click": 1.0}
TYPES = {"query": "<i4", "candidate": "<i4", "relation": "<i4", "weight": "<f4"}


@pytest.fixture(scope="module")
def surfaces(planted_logs, tmp_path_factory) -> tuple[pd.DataFrame, Dataset]:
    folder = tmp_path_factory.mktemp("surfaces")
    table = pq.read_table(planted_logs / "engagements.parquet")
    names = SURFACES[np.random.default_rng(0).choice(6, table.num_rows, p=[0.3, 0.3, 0.3, 0.098, 0.001, 0.001])]
    table = table.append_column("surface", pa.array(names, pa.string()))
    # Engagements with different relations are different; with the same relation they are duplicates.
    again = table.slice(0, 3).set_column(table.num_columns - 1, "surface", pa.array(["save", "click", "view"]))
    table = pa.concat_tables([table, again, again])
    pq.write_table(table, folder / "engagements.parquet")
    tree = planted_tree()
    tree["schema"]["relation"] = "surface"
    tree["dataset"] |= {"relations": WEIGHTS, "duplicates": {"engagements": "reject"}, "sources": {
        "engagements": str(folder / "engagements.parquet"),
        **{name: str(planted_logs / f"{name}.parquet") for name in ("impressions", "items", "users")}}}
    build(Config.model_validate(tree), folder, folder / "out")
    return table.to_pandas(), Dataset.open(folder / "out")


def _pairs(dataset: Dataset) -> pd.DataFrame:
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in TYPES}
    blocks = []
    for split in ("pairs/train", "pairs/heldout"):
        for record in tf.data.TFRecordDataset(dataset.files(split)):
            block = tf.io.parse_single_example(record, spec)
            blocks.append(pd.DataFrame({name: np.frombuffer(block[name].numpy(), kind)
                                        for name, kind in TYPES.items()}))
    return pd.concat(blocks)


def test_each_pair_has_its_relation_and_weight(surfaces):
    engagements, dataset = surfaces
    assert dataset.info["pair_columns"] == pair_columns(dataset.schema) == {
        "query": "int32", "candidate": "int32", "relation": "int32", "weight": "float32"}
    # Alphabetical, independent of the order in the configuration.
    assert dataset.info["relations"] == ["click", "hide", "save", "view"]
    users, items = (dataset.vocabulary(name) for name in ("user", "item"))
    used = engagements[(engagements.day < 20) & engagements.surface.isin(["click", "save", "view"])].drop_duplicates()
    expected = Counter(zip(users.lookup(pa.array(used.member)).tolist(),
                           items.lookup(pa.array(used.item.tolist(), pa.string())).tolist(),
                           used.surface.map({"click": 0, "save": 2, "view": 3}), used.surface.map(WEIGHTS),
                           strict=True))
    pairs = _pairs(dataset)
    assert Counter(pairs.itertuples(index=False, name=None)) == expected


def test_unusable_rows_are_counted(surfaces):
    engagements, dataset = surfaces
    count = dataset.info["counts"]["engagements"]
    assert count["rejected"]["missing relation"] == engagements.surface.isna().sum() > 0
    assert count["rejected"]["unknown relation"] == (engagements.surface == "blink").sum() > 0
    assert count["filtered_by"]["relation of weight 0"] == (engagements.surface == "hide").sum()
    assert 3 <= count["rejected"]["duplicate engagement"] <= 6
    assert count["read"] == len(engagements) == count["written"] + sum(count["rejected"].values()) + count["filtered"]


def test_ignored_relations_are_not_counted_for_vocabularies(surfaces):
    """The counts of a vocabulary add up to the number of pairs."""
    _, dataset = surfaces
    assert dataset.vocabulary("user").counts.sum() == dataset.info["counts"]["engagements"]["written"]


def test_readers_without_relations_accept_the_blocks(surfaces):
    _, dataset = surfaces
    rows = sum(int(tf.size(block["query"])) for block in pair_blocks(dataset.files("pairs/train")))
    assert rows == dataset.num_examples("pairs/train")


@pytest.mark.parametrize(("schema", "dataset"), [
    ({"relation": "surface"}, {}), ({}, {"relations": {"a": 1.0}}), ({"relation": "s"}, {"relations": {"a": -1.0}}),
    ({"relation": "s"}, {"relations": {"a": 0.0}}), ({"relation": "s"}, {"relations": {"a": float("nan")}})])
def test_relations_and_weights_are_required_together(schema, dataset):
    tree = planted_tree()
    tree["schema"] |= schema
    tree["dataset"] |= dataset
    with pytest.raises(ValueError, match=r"go together|weights must be"):
        Config.model_validate(tree)
