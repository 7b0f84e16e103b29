"""The whole life of a model on tiny planted logs: built once, copied by tests that change it."""

import os
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from life import Life
from resealed import reseal

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.retrieval.build import build_index
from tfrs_pretrain.serving.exporting.export import export


@pytest.fixture(scope="session")
def built_life(tmp_path_factory):
    """Every artifact of one life. Read-only."""
    life = Life(tmp_path_factory.mktemp("life"))
    build_life(life)
    return life


def build_life(life):
    """Writes the logs and runs every stage."""
    from beam_pipelines.build_dataset import build

    write_planted_logs(life.logs, users=60, items=50, engagements=3000, impressions=1500, seed=5)
    for name in ("engagements", "impressions", "users"):
        _with_long_ids(life.logs / f"{name}.parquet")
    _with_bad_rows(life.logs / "impressions.parquet")
    reseal(life.logs)
    build(life.config, life.logs, life.dataset)
    dataset = Dataset.open(life.dataset)
    pretrain(life.config, dataset, life.embeddings)
    train_arm(life.config, dataset, "warm_start", life.ranker, embeddings=life.embeddings)
    export(life.config, dataset, life.ranker, life.models)
    build_index(Embeddings.open(life.embeddings), life.index, approximate="hnsw", cutoffs=(5,), queries=10)


@pytest.fixture
def life(built_life, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(built_life.folder, tmp_path / "life", copy_function=os.link)
    return Life(tmp_path / "life")


def _with_long_ids(path):
    """Every second user gets an id with 15 digits."""
    table = pq.read_table(path)
    members = table["member"]
    odd = pc.equal(pc.bit_wise_and(members, 1), 1)
    members = pc.if_else(odd, pc.multiply(members, pa.scalar(10**11)), members)
    pq.write_table(table.set_column(table.column_names.index("member"), "member", members), path)


def _with_bad_rows(path):
    """Some impressions have no time: they are rejected."""
    table = pq.read_table(path)
    ts = table["ts"].to_pylist()
    for row in range(0, 60, 2):
        ts[row] = None
    place = table.column_names.index("ts")
    pq.write_table(table.set_column(place, "ts", pa.array(ts, table["ts"].type)), path)
