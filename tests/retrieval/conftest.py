"""Planted logs with features of every kind, rows whose scores are known, and a ranker trained on them."""

import dataclasses
import json

import numpy as np
import planted
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.vocabulary import Vocabulary

DIM = 8


@dataclasses.dataclass
class Shop:
    """What the tests look into: the raw tables, the dataset, and a trained ranker's folder."""

    raw: dict[str, pa.Table]
    dataset: Dataset
    config: Config
    ranker: object


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    from beam_pipelines.build_dataset import build

    folder = tmp_path_factory.mktemp("shop")
    write_planted_logs(folder / "raw", users=90, items=150, engagements=4000, impressions=1500, seed=3)
    items = pq.read_table(folder / "raw" / "items.parquet")
    tags = [[f"täg {tag}" for tag in range(number % 4)] for number in range(len(items))]
    pq.write_table(items.append_column("tags", pa.array(tags, pa.list_(pa.string()))), folder / "raw" / "items.parquet")
    shown = pq.read_table(folder / "raw" / "impressions.parquet")
    badges = [[number % 5, 7] for number in range(len(shown))]
    pq.write_table(shown.append_column("badges", pa.array(badges, pa.list_(pa.int64()))),
                   folder / "raw" / "impressions.parquet")
    tree = planted.planted_config()
    tree["schema"]["item"]["min_count"] = 3
    tree["schema"]["user"]["min_count"] = 20
    tree["schema"]["history"] = {"length": 3}
    tree["schema"]["features"] += [
        {"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": 2},
        {"name": "badges", "source": "impressions", "kind": "multi_valued", "dtype": "int64", "max_values": 2},
        {"name": "seconds", "source": "impressions", "column": "dwell", "kind": "numeric", "dtype": "float32"}]
    tree["dataset"] |= {"shards": 1, "golden_examples": 8}
    config = Config.model_validate(tree)
    build(config, folder / "raw", folder / "dataset")
    dataset = Dataset.open(folder / "dataset")
    train_arm(config, dataset, "scratch", folder / "ranker", embeddings=None)
    raw = {name: pq.read_table(folder / "raw" / f"{name}.parquet")
           for name in ("engagements", "impressions", "items", "users")}
    return Shop(raw, dataset, config, folder / "ranker")


@pytest.fixture
def write_embeddings(tmp_path):
    """Writes an artifact of random rows, or of those given, and opens it."""

    def write(users: Vocabulary, items: Vocabulary, rows=None, *, dataset=None, temperature=0.2, name="embeddings",
              **pretraining):
        random = np.random.default_rng(5)
        rows = rows or {table: random.normal(size=(vocabulary.num_rows, DIM)).astype(np.float32)
                        for table, vocabulary in (("user", users), ("item", items))}
        manifest = {"window": {"start": 0, "end": 20}, "temperature": temperature,
                    "config": {"pretraining": {"dim": DIM, **pretraining}}}
        if dataset:
            manifest["dataset_info_digest"] = file_digest(dataset.folder / DATASET_INFO)
        save_embeddings(tmp_path / name, rows, {"user": users, "item": items}, json.loads(json.dumps(manifest)),
                        overwrite=False)
        return Embeddings.open(tmp_path / name)

    return write


@pytest.fixture
def shop_embeddings(shop, write_embeddings):
    return write_embeddings(shop.dataset.vocabulary("user"), shop.dataset.vocabulary("item"))
