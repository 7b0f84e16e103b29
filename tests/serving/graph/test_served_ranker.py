"""The served graph against the trained ranker with rows from the numpy vocabularies."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.serving.graph.inputs import raw_inputs
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import save

BATCH = 6
INTEGERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-1, 10), st.integers(1900, 5500))
STRINGS = st.one_of(st.text(max_size=30), st.integers(0, 400).map(lambda number: f"ítem-{number}"),
                    st.sampled_from(["", "Perú", "日本", "home", "search"]))
FLOATS = st.one_of(st.floats(-30, 30, width=32), st.just(float("nan")))
STRATEGIES = {"int64": INTEGERS, "string": STRINGS, "float32": FLOATS}


@pytest.fixture(scope="module")
def ranker(ranker_folder, tiny_dataset):
    return load_ranker(ranker_folder, tiny_dataset)


@pytest.fixture(scope="module")
def served(ranker, tiny_dataset, tmp_path_factory):
    return ServedRanker(ranker, tiny_dataset, tmp_path_factory.mktemp("assets"))


def inputs_of(dataset):
    return raw_inputs(dataset.schema, ("user", "item", "surface", "topic", "country", "quality"))


def tensors(dataset, values):
    return {name: tf.constant(values[name], tf.as_dtype(of.dtype)) for name, of in inputs_of(dataset).items()}


def expected_scores(ranker, dataset, values):
    """Rows by the Arrow vocabularies, then the training-time model."""
    raw = {"user": values["user_id"], "item": values["item_id"], **values}
    arrow = {"int64": pa.int64(), "string": pa.string()}
    batch = {name: tf.constant(np.array(raw[name], np.float32)) for name in ranker.inputs.numeric}
    for name in ranker.inputs.tables:
        vocabulary = dataset.vocabulary(name)
        batch[name] = tf.constant(vocabulary.lookup(pa.array(raw[name], arrow[vocabulary.dtype])))
    return ranker.score(batch).numpy()[:, 0]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_raw_values_score_as_in_training(ranker, served, tiny_dataset, data):
    values = {name: data.draw(st.lists(STRATEGIES[of.dtype], min_size=BATCH, max_size=BATCH), label=name)
              for name, of in inputs_of(tiny_dataset).items()}
    scores = served.score(**tensors(tiny_dataset, values))["score"].numpy()
    np.testing.assert_allclose(scores, expected_scores(ranker, tiny_dataset, values), rtol=0, atol=1e-5)


def test_privileged_features_are_not_inputs(tiny_dataset, ranker):
    privileged = {feature.name for feature in tiny_dataset.schema.features if feature.privileged}
    assert privileged
    assert set(ranker.inputs.columns) == {"user", "item", "surface", "topic", "country", "quality"}


def test_every_input_changes_the_score(served, tiny_dataset):
    """A comparison of scores would not detect a column that both models ignore."""
    one = {"user_id": [4621], "item_id": ["ítem-38"], "surface": ["search"], "topic": [1], "quality": [1.2],
           "country": ["Perú"]}
    other = {"user_id": [4723], "item_id": ["ítem-53"], "surface": ["home"], "topic": [5], "quality": [-0.5],
             "country": ["日本"]}
    assert set(one) == set(inputs_of(tiny_dataset))
    base = served.score(**tensors(tiny_dataset, one))["score"].numpy()
    for name, value in other.items():
        assert served.score(**tensors(tiny_dataset, one | {name: value}))["score"].numpy() != base, name


def test_an_empty_batch_has_no_scores(served, tiny_dataset):
    nothing = {name: [] for name in inputs_of(tiny_dataset)}
    assert served.score(**tensors(tiny_dataset, nothing))["score"].shape == (0,)


def test_only_tables_and_dense_weights_are_saved(served, ranker, tiny_dataset, tmp_path):
    """Optimizer slots would triple the tables; a missing dense weight would only fail in the server."""
    save(served, tmp_path / "model")
    shapes = tf.train.list_variables(str(tmp_path / "model/variables/variables"))
    saved = sorted(int(np.prod(shape)) for name, shape in shapes if "OBJECT_GRAPH" not in name)
    tables = [8 * tiny_dataset.num_rows("user"), 8 * tiny_dataset.num_rows("item"),
              *(4 * tiny_dataset.num_rows(name) for name in ("surface", "topic", "country"))]
    assert saved == sorted([*tables, *(weight.size for weight in ranker.network.get_weights())])


def test_the_graph_calls_no_python(served, tmp_path):
    save(served, tmp_path / "model")
    assert b"PyFunc" not in (tmp_path / "model" / "saved_model.pb").read_bytes()
