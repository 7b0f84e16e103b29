"""A small dataset drawn from known user and item factors, and pretrained rows equal to these factors."""

import copy
import dataclasses
import shutil

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset, impression_columns, shard_path
from tfrs_pretrain.embeddings.artifact import save_embeddings
from tfrs_pretrain.vocabulary import Vocabulary

USERS, ITEMS, DIM = 150, 250, 8
EXAMPLES = {"train": 8000, "validation": 1500, "test": 3000}
STATISTICS = {"price": {"mean": 3.0, "std": 2.0}, "dwell": {"mean": 0.0, "std": 1.0}}
TREE = {
    "name": "planted", "seed": 4,
    "schema": {
        "user": {"column": "u", "dtype": "int64", "oov_rows": 2},
        "item": {"column": "i", "dtype": "string", "oov_rows": 3},
        "time": "ts", "window": "day", "label": "clicked",
        "features": [
            {"name": "place", "source": "impressions", "kind": "categorical", "dtype": "string"},
            {"name": "price", "source": "items", "kind": "numeric", "dtype": "float32"},
            {"name": "dwell", "source": "impressions", "kind": "numeric", "dtype": "float32", "privileged": True},
            {"name": "outcome", "source": "impressions", "kind": "categorical", "dtype": "int64", "privileged": True}]},
    "windows": {"pretrain": {"start": 0, "end": 10}, "train": {"start": 10, "end": 20},
                "validation": {"start": 20, "end": 22}, "test": {"start": 22, "end": 30}},
    "pretraining": {"dim": DIM},
    "ranking": {"hidden": [16, 8], "feature_dim": 4, "id_dim": DIM, "batch_size": 128, "learning_rate": 5e-3,
                "table_learning_rate": 5e-3,
                "arms": {"scratch": {}, "warm_start": {"transfer": "warm_start"},
                         "distilled": {"transfer": "warm_start", "distillation": {"teacher": {"hidden": [32, 16]}}}}},
    "export": {"arm": "distilled"},
}


@dataclasses.dataclass
class Planted:
    """The dataset and the factors that it was drawn from."""

    dataset: Dataset
    users: np.ndarray  # float32 [user rows, DIM]
    items: np.ndarray  # float32 [item rows, DIM]


def vocabularies():
    return {
        "user": Vocabulary(pa.array(np.arange(USERS) * 3), np.arange(USERS, 0, -1), 2),
        "item": Vocabulary(pa.array([f"ítem-{i}" for i in range(ITEMS)]), np.arange(ITEMS, 0, -1), 3),
        "place": Vocabulary(pa.array(["top", "side"]), np.array([60, 40]), 1),
        "outcome": Vocabulary(pa.array([0, 1, 2]), np.array([5, 4, 3]), 1),
    }


def draw(random, users, items, count):
    """Columns of some impressions: label from the dot product of the factors, place and a privileged part."""
    user, item = random.integers(0, len(users), count), random.integers(0, len(items), count)
    place, hidden = random.integers(0, 3, count), random.standard_normal(count)
    logits = 2.0 * (users[user] * items[item]).sum(1) + (place == 1) + hidden - 1.5
    price = np.where(random.random(count) < 0.1, np.nan, random.normal(3, 2, count))
    return {"key": random.integers(0, 2**62, count), "user": user, "item": item,
            "user_id": np.where(user < 2, 100_000 + user, (user - 2) * 3),
            "item_id": [f"ítem-{row - 3}" if row >= 3 else f"new-{row}" for row in item],
            "label": (random.random(count) < 1 / (1 + np.exp(-logits))).astype(np.float32), "place": place,
            "price": price.astype(np.float32), "dwell": hidden.astype(np.float32),
            "outcome": np.digitize(hidden, [-0.5, 0.5])}


def write_records(path, columns, dtypes):
    import tensorflow as tf

    def field(dtype, value):
        if dtype == "string":
            return tf.train.Feature(bytes_list={"value": [value.encode()]})
        kind = "int64_list" if dtype == "int64" else "float_list"
        return tf.train.Feature(**{kind: {"value": [value]}})

    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(len(columns["key"])):
            features = {name: field(dtype, columns[name][row]) for name, dtype in dtypes.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def write_planted(folder, seed=0):
    random = np.random.default_rng(seed)
    users, items = (random.standard_normal((rows, DIM)).astype(np.float32) / np.float32(np.sqrt(DIM))
                    for rows in (USERS + 2, ITEMS + 3))
    config = Config.model_validate(TREE)
    (folder / "vocabulary").mkdir(parents=True)
    (folder / "impressions").mkdir()
    entries, splits = {}, {}
    for name, vocabulary in vocabularies().items():
        vocabulary.save(folder / "vocabulary" / f"{name}.parquet")
        entries[name] = {"rows": vocabulary.num_rows, "digest": vocabulary.digest}
    for split, count in EXAMPLES.items():
        path = shard_path(f"impressions/{split}", 0, 1)
        write_records(folder / path, draw(random, users, items, count), impression_columns(config.schema_))
        size = (folder / path).stat().st_size
        splits[f"impressions/{split}"] = {"examples": count, "shards": [{"path": path, "bytes": size}]}
    write_manifest(folder, DATASET_KIND, {"config": config.resolved(), "splits": splits, "vocabularies": entries,
                                  "numeric": STATISTICS}, name=DATASET_INFO)
    return Planted(Dataset.open(folder), users, items)


@pytest.fixture
def drawn(planted):
    """Draws columns of further impressions from the same factors: ``drawn(random, count)``."""
    return lambda random, count: draw(random, planted.users, planted.items, count)


@pytest.fixture
def with_split(planted, tmp_path):
    """Copies the planted dataset with other impressions in one split: ``with_split(split, **columns)``."""

    def rewritten(split, **columns):
        folder = tmp_path / "rewritten"
        shutil.copytree(planted.dataset.folder, folder)
        count = len(columns["user"])
        columns = draw(np.random.default_rng(0), planted.users, planted.items, count) | columns
        info = copy.deepcopy(planted.dataset.info)
        path = info["splits"][f"impressions/{split}"]["shards"][0]["path"]
        write_records(folder / path, columns, impression_columns(planted.dataset.schema))
        info["splits"][f"impressions/{split}"]["examples"] = count
        return Dataset(folder, info)

    return rewritten


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    return write_planted(tmp_path_factory.mktemp("planted") / "dataset")


@pytest.fixture(scope="session")
def planted_embeddings(planted, tmp_path_factory):
    """Pretrained rows equal to the true factors: an ideal result of Stage I."""
    folder = tmp_path_factory.mktemp("planted") / "embeddings"
    save_embeddings(folder, {"user": planted.users, "item": planted.items},
                    {name: planted.dataset.vocabulary(name) for name in ("user", "item")},
                    {"window": TREE["windows"]["pretrain"]}, overwrite=False)
    return folder


@pytest.fixture
def config():
    return Config.model_validate(TREE)


@pytest.fixture
def build_arm(planted, planted_embeddings, config):
    """Builds the learner of an arm: ``build_arm(**arm settings)``."""
    from tfrs_pretrain.config import ArmConfig
    from tfrs_pretrain.embeddings.artifact import Embeddings
    from tfrs_pretrain.ranking.build import build_learner

    def learner(**arm):
        return build_learner(config.ranking, planted.dataset, ArmConfig(**arm), Embeddings.open(planted_embeddings),
                             hidden=(16, 8), seed=11, privileged=False, anchored=True)

    return learner


@pytest.fixture
def build(planted, config):
    """Builds a learner from scratch: ``build(role)`` for "student" or "teacher", ``hidden`` replaces its layers."""
    from tfrs_pretrain.ranking.build import build_learner

    def learner(role, hidden=None):
        teacher = role == "teacher"
        return build_learner(config.ranking, planted.dataset, config.ranking.arms["scratch"], None,
                             hidden=hidden or ((32, 16) if teacher else (16, 8)), seed=11 + teacher, privileged=teacher)

    return learner
