"""A ranker trained on the planted logs, and one with every kind of input."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from live_servers import live_server
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.serving.exporting.export import export


@pytest.fixture(scope="session")
def ranker_folder(tmp_path_factory, planted_config, tiny_dataset):
    folder = tmp_path_factory.mktemp("ranker") / "scratch"
    train_arm(planted_config, tiny_dataset, "scratch", folder, embeddings=None)
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory, planted_config, tiny_dataset, ranker_folder):
    """Folder of models, and the exported version 1."""
    models = tmp_path_factory.mktemp("models")
    return models, export(planted_config, tiny_dataset, ranker_folder, models)


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory, planted_config, tiny_dataset, exported):
    """Folder of models with versions 1 and 2 of one model with different scores. Read-only."""
    models = shutil.copytree(exported[0], tmp_path_factory.mktemp("two") / "models")
    other = models.parent / "ranker"
    changed = planted_config.model_copy(update={"seed": planted_config.seed + 1})
    train_arm(changed, tiny_dataset, "scratch", other, embeddings=None)
    export(planted_config, tiny_dataset, other, models)
    return models


@pytest.fixture(scope="module")
def live(two_versions, tmp_path_factory):
    """A server of version 1. Tests must not change its state."""
    with live_server(two_versions, tmp_path_factory.mktemp("live"), versions=[1]) as running:
        yield running


@pytest.fixture(scope="session")
def kinds_config():
    tree = planted_tree()
    tree["schema"] |= {"labels": ["liked", "shared"], "history": {"length": 6}}
    [quality] = [feature for feature in tree["schema"]["features"] if feature["name"] == "quality"]
    quality["log1p"] = True
    tree["schema"]["features"] += [
        {"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": 3},
        {"name": "codes", "source": "impressions", "kind": "multi_valued", "dtype": "int64", "max_values": 2,
         "separator": "|", "oov_rows": 2},
        {"name": "seen", "source": "impressions", "kind": "multi_valued", "dtype": "int64", "max_values": 2,
         "privileged": True}]
    tree["ranking"] |= {"backbone": {"kind": "dcn_v2", "rank": 4}, "history": "attention", "labels": {"liked": 0.5},
                        "attention_hidden": [8], "head_hidden": [4], "epochs": 4}
    # Four epochs memorize rows with larger rates. test_cold_ids_served.py has the other start of unknown ids.
    plain = {"kind": "warm_start", "pretrained_learning_rate_scale": 0.1, "shrinkage": None, "evidence": None,
             "cold_rows": "random"}
    tree["ranking"]["arms"]["warm_start_distilled"]["transfer"] = plain
    return Config.model_validate(tree)


@pytest.fixture(scope="session")
def kinds_dataset(kinds_config, planted_logs, tmp_path_factory):
    """The planted logs with lists and labels: tags depend on the topic, the other lists are noise, likes on clicks."""
    folder = tmp_path_factory.mktemp("every_kind")
    random = np.random.default_rng(3)
    for name in ("users", "engagements"):
        (folder / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    items, impressions = (pq.read_table(planted_logs / f"{name}.parquet") for name in ("items", "impressions"))
    tags = [[f"Thema {topic}", *random.choice(["neu", "日本", "alt"], random.integers(0, 4), replace=False)]
            for topic in items["topic_id"].to_pylist()]
    tags[7] = []
    pq.write_table(items.append_column("tags", pa.array(tags)), folder / "items.parquet")
    count = impressions.num_rows
    codes = ["|".join(map(str, random.integers(0, 9, random.integers(0, 4)))) for _ in range(count)]
    clicked = impressions["clicked"].to_numpy()
    liked = (clicked == 1) & (random.random(count) < 0.6) | (random.random(count) < 0.05)
    seen = [random.integers(0, 4, 1 + click).tolist() for click in clicked]
    for name, values in (("codes", codes), ("liked", liked), ("shared", liked), ("seen", seen)):
        impressions = impressions.append_column(name, pa.array(values))
    pq.write_table(impressions, folder / "impressions.parquet")
    build(kinds_config, folder, folder / "dataset")
    return Dataset.open(folder / "dataset")


@pytest.fixture(scope="session")
def kinds_ranker(kinds_config, kinds_dataset, tmp_path_factory):
    """Folder of the distilled ranker on pretrained rows, and its manifest."""
    folder = tmp_path_factory.mktemp("every_kind_trained")
    pretrain(kinds_config, kinds_dataset, folder / "embeddings")
    train_arm(kinds_config, kinds_dataset, "warm_start_distilled", folder / "ranker",
              embeddings=folder / "embeddings")
    return folder / "ranker", read_manifest(folder / "ranker", "ranker")


@pytest.fixture(scope="session")
def kinds_export(kinds_config, kinds_dataset, kinds_ranker, tmp_path_factory):
    models = tmp_path_factory.mktemp("every_kind_models")
    return models / kinds_config.name / "1", export(kinds_config, kinds_dataset, kinds_ranker[0], models)
