"""A ranker with mixed transfer modes, exported and loaded as the server loads it."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import Config
from tfrs_pretrain.embeddings.artifact import save_embeddings
from tfrs_pretrain.embeddings.tables import normal_matrix
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.serving.exporting.export import export

ARM = {"transfer": {"kind": "frozen", "pretrained_dropout": 0.5, "fresh_dim": 3},
       "distillation": {"teacher": {"hidden": [8]}}, "tables": {"item": {"kind": "warm_start", "fresh_dim": 2}},
       "anchor": {"weight": 0.1}}


@pytest.fixture(scope="module")
def version(planted_config, tiny_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transferred")
    vocabularies = {name: tiny_dataset.vocabulary(name) for name in ("user", "item")}
    rows = {name: normal_matrix(vocabulary.num_rows, 8, 1.0, seed=1) for name, vocabulary in vocabularies.items()}
    save_embeddings(folder / "embeddings", rows, vocabularies,
                    {"window": planted_config.windows.pretrain.model_dump(mode="json")}, overwrite=False)
    tree = planted_config.resolved()
    tree["ranking"] |= {"arms": {"mixed": ARM}, "similarity": ["dot", "norms"]}
    config = Config.model_validate(tree | {"export": {"arm": "mixed"}})
    train_arm(config, tiny_dataset, "mixed", folder / "ranker", embeddings=folder / "embeddings")
    return export(config, tiny_dataset, folder / "ranker", folder / "models"), folder / "ranker"


def test_the_export_scores_as_the_trained_model(version):
    exported, _ = version
    assert exported.report.check.impressions == 32
    assert exported.report.check.largest_difference < 1e-5


def test_only_tables_and_dense_weights_are_saved(version, tiny_dataset):
    exported, ranker = version
    shapes = tf.train.list_variables(f"{exported.path}/variables/variables")
    saved = sorted(int(np.prod(shape)) for name, shape in shapes if "OBJECT_GRAPH" not in name)
    widths = {"user": 8, "item": 8, "fresh_user": 3, "fresh_item": 2, "surface": 4, "topic": 4, "country": 4}
    tables = [width * tiny_dataset.num_rows(name.removeprefix("fresh_")) for name, width in widths.items()]
    assert sorted(path.stem for path in (ranker / "tables").iterdir()) == sorted(widths)
    dense = saved.copy()
    for size in tables:
        dense.remove(size)
    inputs = sum(widths.values()) + 3 + 1  # similarity and one numeric feature
    assert dense == sorted([inputs * 16, 16, 16, 1])
