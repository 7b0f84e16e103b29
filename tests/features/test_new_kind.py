"""A new kind needs no other file: its logs become records, train a ranker, and are served with the same scores."""

import json
from collections import Counter

import numpy as np
import planted
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bucketised import BucketisedFeature
from loaded_models import run_signature

from beam_pipelines.build_dataset import build
from tfrs_pretrain.config import Config, load_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.features.registry import register, unregister
from tfrs_pretrain.ranking.distillation.raw_values import RawValues
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.retrieval.features import read_candidate_features
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.serving.exporting.export import export

LEVEL = {"name": "level", "source": "items", "column": "quality", "kind": "bucketised", "boundaries": [-1, 0, 1.5]}
MOOD = {"name": "mood", "source": "impressions", "column": "dwell", "kind": "bucketised", "boundaries": [0]}


@pytest.fixture(scope="module", autouse=True)
def known():
    register(BucketisedFeature)
    yield
    unregister("bucketised")


def bucket(value, boundaries):
    return -1 if value is None or not np.isfinite(value) else sum(value >= boundary for boundary in boundaries)


@pytest.fixture(scope="module")
def shop(tmp_path_factory, known):
    """Logs, configuration and dataset. Some values of dwell, which depends on the click, are missing or infinite."""
    folder = tmp_path_factory.mktemp("bucketised")
    write_planted_logs(folder / "raw", users=60, items=80, engagements=3000, impressions=2000, seed=5)
    path = folder / "raw" / "impressions.parquet"
    shown = pq.read_table(path)
    dwell = shown["dwell"].to_pylist()
    dwell[::50], dwell[1::50] = [None] * len(dwell[::50]), [float("inf")] * len(dwell[1::50])
    pq.write_table(shown.set_column(shown.column_names.index("dwell"), "dwell", pa.array(dwell, pa.float32())), path)
    tree = planted.planted_config()
    tree["schema"]["features"] = [feature for feature in tree["schema"]["features"] if feature["kind"] != "numeric"]
    tree["schema"]["features"] += [LEVEL, MOOD]
    tree["dataset"] |= {"duplicates": {"impressions": "reject"}}
    tree["ranking"] |= {"epochs": 8, "batch_size": 32, "arms": {"scratch": {"transfer": "scratch"}}}
    tree["export"] = {"arm": "scratch"}
    config = Config.model_validate(tree)
    build(config, folder / "raw", folder / "dataset")
    return folder, config, Dataset.open(folder / "dataset")


@pytest.fixture(scope="module")
def exported(shop):
    folder, config, dataset = shop
    train_arm(config, dataset, "scratch", folder / "ranker", embeddings=None)
    return export(config, dataset, folder / "ranker", folder / "models")


def test_a_record_has_the_row_of_its_bucket(shop):
    folder, _, dataset = shop
    shown = pq.read_table(folder / "raw" / "impressions.parquet").to_pandas()
    qualities = dict(pq.read_table(folder / "raw" / "items.parquet").select(["item", "quality"]).to_pandas().to_numpy())
    test = shown[(shown.day >= 30) & (shown.day < 34)]
    expected = Counter(zip(test.member, test["item"], (bucket(qualities[item], [-1, 0, 1.5]) for item in test["item"]),
                           (bucket(value, [0]) for value in test.dwell), strict=True))
    [batch] = evaluation_batches(dataset, "impressions/test", batch_size=10**5).as_numpy_iterator()
    ids = {name: [None, *dataset.vocabulary(name).ids.to_pylist()] for name in ("level", "mood")}
    found = Counter(zip(batch["user_id"].tolist(), (item.decode() for item in batch["item_id"]),
                        (ids["level"][row] for row in batch["level"]), (ids["mood"][row] for row in batch["mood"]),
                        strict=True))
    assert found == expected
    assert {mood for *_, mood in found} == {-1, 0, 1}


def test_the_vocabulary_counts_buckets_of_the_training_window(shop):
    folder, _, dataset = shop
    shown = pq.read_table(folder / "raw" / "impressions.parquet").to_pandas()
    training = shown[(shown.day >= 20) & (shown.day < 28)]
    vocabulary = dataset.vocabulary("mood")
    assert dict(zip(vocabulary.ids.to_pylist(), vocabulary.counts.tolist(), strict=True)) == Counter(
        bucket(value, [0]) for value in training.dwell)


def test_the_exported_model_has_a_table_of_its_rows(exported):
    # one shared row, missing, below 0, from 0 on
    assert exported.to_json()["tables"]["mood"] | {"digest": None} == {
        "rows": 4, "dim": 4, "dtype": "float32", "bytes": 64, "vocabulary": "mood", "digest": None}


def test_served_scores_depend_on_the_bucket_alone_which_decides_the_click(exported):
    values = np.array([-5, -0.25, 0, 0.25, 7, np.nan, np.inf, -np.inf], np.float32)
    same = {"user_id": np.full(8, 1000), "item_id": np.full(8, "ítem-1", object), "surface": np.full(8, "home", object),
            "topic": np.full(8, 1), "country": np.full(8, "", object), "level": np.zeros(8, np.float32)}
    scores = run_signature(exported.path, "serving_default", same | {"mood": values})["score"]
    assert scores[0] == scores[1] < scores[2] == scores[3] == scores[4]
    assert scores[5] == scores[6] == scores[7]
    assert len(set(scores.tolist())) == 3


def test_served_scores_equal_those_of_the_trained_ranker(exported):
    check = exported.to_json()["check"]
    assert check["impressions"] == 32
    assert check["largest_difference"] < 1e-5
    assert {"serving_default", "rank", "predict_examples"} <= check["signatures"].keys()


def test_a_record_is_shown_to_a_served_teacher_as_a_number_of_the_same_bucket(shop):
    _, config, dataset = shop
    [feature] = [feature for feature in config.schema_.features if feature.name == "mood"]
    vocabulary = dataset.vocabulary("mood")
    rows = np.arange(1, vocabulary.num_rows)
    raw = RawValues(dataset, ["mood"])({"mood": rows})["mood"].numpy()
    assert feature.batch_column(raw, lambda _, values: vocabulary.lookup(values)).tolist() == rows.tolist()


def test_the_shell_takes_a_number_as_context(shop):
    folder, _, dataset = shop
    user = pq.read_table(folder / "raw" / "users.parquet")["member"][0].as_py()
    ids = dataset.vocabulary("mood").ids.to_pylist()
    items, columns = np.array([8, 9]), ("user", "item", "level", "mood")
    for text, expected in (("-2", 0), ("0", 1), ("2.5", 1), ("nan", -1)):
        found = read_candidate_features(dataset, columns, user, items, {"mood": text})
        assert [ids[row - 1] for row in found.columns["mood"]] == [expected, expected], text
    with pytest.raises(UserError, match="--context mood=high: expected one value of float32"):
        read_candidate_features(dataset, columns, user, items, {"mood": "high"})


def test_it_is_configured_like_any_other(tmp_path):
    path = tmp_path / "own.yaml"
    tree = planted.planted_config()
    tree["schema"]["features"] = [LEVEL]
    path.write_text(json.dumps(tree))
    [feature] = load_config(str(path)).schema_.features
    assert isinstance(feature, BucketisedFeature)
    assert feature.model_dump(mode="json", exclude_defaults=True) == LEVEL
    resolved = load_config(str(path)).resolved()["schema"]
    assert Schema.model_validate(resolved).features == (feature,)
    with pytest.raises(UserError, match=r"unknown key 'schema.features.0.log1p'"):
        load_config(str(path), ["schema.features=" + json.dumps([LEVEL | {"log1p": True}])])
