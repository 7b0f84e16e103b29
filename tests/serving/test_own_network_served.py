"""A ranker with a network of the user's own: every signature, with and without the mix-in for one user row."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from evolved import evolve, rare_ids

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.forgetting.run import forget
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.serving.deltas.chain import read_chain
from tfrs_pretrain.serving.exporting.delta import export_delta
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.session import LoadedModel

pytestmark = pytest.mark.slow

MODULE = '''
import keras
from tfrs_pretrain.ranking.model.contract import MASK, rows_of


class Plain(keras.layers.Layer):
    """Sums one dense layer's output for each input; lists are summed without padding."""

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.parts = heads, {}

    def build(self, shapes):
        self.parts = {name: keras.layers.Dense(4) for name in sorted(rows_of(shapes))}
        self.last = keras.layers.Dense(self.heads)

    def call(self, features):
        total = 0
        for name, layer in self.parts.items():
            rows = layer(features[name])
            if name + MASK in features:
                mask = keras.ops.cast(features[name + MASK], rows.dtype)
                rows = keras.ops.sum(rows * keras.ops.expand_dims(mask, -1), axis=1)
            total = total + rows
        return self.last(keras.ops.relu(total))

'''


@pytest.fixture(scope="module")
def own(kinds_config, kinds_dataset, tmp_path_factory):
    """Ranker folder, exported version, configuration."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "served_networks.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        tree = kinds_config.resolved()
        tree["ranking"] |= {"network": "served_networks:Plain", "backbone": "mlp", "epochs": 1,
                            "arms": {"scratch": {}}}
        tree["export"]["arm"] = "scratch"
        config = Config.model_validate(tree)
        train_arm(config, kinds_dataset, "scratch", folder / "ranker", embeddings=None, test=False)
        yield folder / "ranker", export(config, kinds_dataset, folder / "ranker", folder / "models"), config


def request(version, count):
    """The golden impressions, with the user of the first one."""
    golden = json.loads((version.path / "assets.extra/golden_requests.json").read_text())
    dtypes = {"user_id": np.int64, "topic": np.int64, "codes": np.int64, "quality": np.float32}
    raw = {name: np.array([row[name] for row in golden["instances"][:count]], dtypes.get(name, object))
           for name in golden["instances"][0]}
    users = [name for name, spec in version.report.to_json()["inputs"].items() if spec["side"] == "user"]
    assert {"user_id", "history", "country"} <= set(users)
    return raw, {name: raw[name][:1] for name in users}


def test_every_signature_is_exported_and_rank_scores_as_the_default_one(own):
    version = own[1]
    model = LoadedModel(version.path)
    assert set(model.signatures) == {"serving_default", "rank", "predict_examples", "classify", "regress",
                                     "user_embedding", "item_embedding"}
    raw, user = request(version, 5)
    expected = model.run("serving_default", raw | {name: np.repeat(row, 5, axis=0) for name, row in user.items()})
    found = model.run("rank", raw | user)
    for name in ("score", "score_liked"):
        assert np.ptp(found[name]) > 0
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6)
    none = {name: values[:0] for name, values in raw.items()} | user
    assert model.run("rank", none)["score"].shape == (0,)


@pytest.mark.parametrize(("mix_in", "num_user_rows"), [(False, 3), (True, 1)])
def test_only_the_mix_in_computes_the_user_side_once(own, kinds_dataset, tmp_path, mix_in, num_user_rows):
    ranker = load_ranker(own[0], kinds_dataset)
    inner, seen = ranker.network.inner, []
    inner.accepts_one_user_row, call = mix_in, inner.call
    inner.call = lambda features: seen.append(features["user"].shape[0]) or call(features)
    raw, user = request(own[1], 3)
    served = ServedRanker(ranker, kinds_dataset, tmp_path)
    scores = served.rank(**{name: tf.constant(values.tolist(), served.inputs[name].dtype)
                            for name, values in (raw | user).items()})
    assert seen == [num_user_rows]
    expected = LoadedModel(own[1].path).run("rank", raw | user)
    np.testing.assert_allclose(scores["score"], expected["score"], rtol=0, atol=1e-6)


def unseen_item(dataset):
    """Position of an item that no golden impression has, not even in a history."""
    histories = {item for items in pq.read_table(dataset.folder / "golden.parquet")["history"].to_pylist()
                 for item in items}
    ids = dataset.vocabulary("item").ids.to_pylist()
    return next(position for position in rare_ids(dataset) if ids[position] not in histories)


def test_a_delta_brings_other_rows_and_other_weights_of_it(own, kinds_dataset, tmp_path):
    """``export_delta`` compares the scores of the patched base with the later ranker before it publishes."""
    ranker, version, config = own
    dataset, later = evolve(kinds_dataset, ranker, tmp_path, replace={unseen_item(kinds_dataset): "heir"},
                            append=["new"], dense=True, rows={"user": {3: np.linspace(-1, 1, 8)}})
    shutil.copytree(version.path.parents[1], tmp_path / "models")
    base = tmp_path / "models" / version.path.parent.name / "1"
    export_delta(config, dataset, later, tmp_path / "models", 1)
    found, expected = read_chain(base).state(), load_ranker(later, dataset)
    weights = expected.network.get_weights()
    for number, weight in enumerate(weights):
        np.testing.assert_array_equal(found.dense.arrays[f"network/{number}"], weight)
    assert not np.array_equal(weights[1], load_ranker(ranker, kinds_dataset).network.get_weights()[1])
    np.testing.assert_array_equal(found.table("user").values, expected.tables["user"].numpy())
    assert found.vocabularies["item"].ids.to_pylist()[-1] == "new"


def test_forgetting_leaves_it_as_it_is(own, kinds_dataset, tmp_path):
    ranker, version, _ = own
    for name, folder in (("dataset", kinds_dataset.folder), ("ranker", ranker), ("models", version.path.parents[1])):
        shutil.copytree(folder, tmp_path / name)
    forgotten = kinds_dataset.vocabulary("item").ids[unseen_item(kinds_dataset)].as_py()
    pq.write_table(pa.table({"id": [forgotten]}), tmp_path / "ids.parquet")
    result = forget("item", tmp_path / "ids.parquet", [tmp_path / name for name in ("dataset", "ranker", "models")])
    assert not result.leaks
    dataset = Dataset.open(tmp_path / "dataset")
    one, other = load_ranker(ranker, kinds_dataset), load_ranker(tmp_path / "ranker", dataset)
    for weight, same in zip(one.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)
    row = kinds_dataset.vocabulary("item").lookup(pa.array([forgotten]))
    assert one.tables["item"].numpy()[row].any()
    assert not other.tables["item"].numpy()[row].any()
    raw, _ = request(version, 5)
    found = LoadedModel(tmp_path / "models" / version.path.relative_to(version.path.parents[1]))
    np.testing.assert_array_equal(found.run("serving_default", raw)["score"],
                                  LoadedModel(version.path).run("serving_default", raw)["score"])
