"""Parity of raw values -> numpy vocabularies -> trained ranker with raw values -> every signature of the export."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.serving.session import LoadedModel

pytestmark = pytest.mark.slow
LENGTHS = {"history": 6, "tags": 3, "codes": 2}
USER, CONTEXT = ("user_id", "country", "history"), ("surface", "codes")
HUGE = "x" * 5000
STRINGS = st.one_of(st.text(max_size=20), st.integers(0, 400).map(lambda number: f"ítem-{number}"),
                    st.sampled_from(["", "Perú", "日本", "home", "search", "Thema 2", "neu", "\x00", "e\u0301", HUGE]))
INTEGERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-1, 10), st.integers(1900, 5500))
FLOATS = st.one_of(st.floats(width=32), st.floats(-30, 30, width=32), st.just(float("nan")))
KINDS = {"user_id": INTEGERS, "item_id": STRINGS, "surface": STRINGS, "country": STRINGS, "topic": INTEGERS,
         "quality": FLOATS, "tags": st.lists(STRINGS, max_size=5), "codes": st.lists(INTEGERS, max_size=4),
         "history": st.lists(STRINGS, max_size=9)}
MISSING = {"tags": "", "codes": -1, "history": ""}
REQUESTS = st.lists(st.fixed_dictionaries(KINDS), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def ranker(kinds_ranker, kinds_dataset):
    return load_ranker(kinds_ranker[0], kinds_dataset)


@pytest.fixture(scope="module")
def served(kinds_export):
    with LoadedModel(kinds_export[0]) as model:
        yield model


def trained_scores(ranker, dataset, requests):
    """{output: [n]}: scores of the values by the vocabularies that Beam uses and the trained ranker."""
    batch = {}
    for row in ranker.inputs.rows:
        name = {"user": "user_id", "item": "item_id"}.get(row.column, row.column)
        vocabulary = dataset.vocabulary(row.vocabulary)
        kind = pa.int64() if vocabulary.dtype == "int64" else pa.string()
        if row.length is None:
            batch[row.column] = vocabulary.lookup(pa.array([request[name] for request in requests], kind))
            continue
        padded = np.full((len(requests), row.length), -1)
        for place, request in enumerate(requests):
            values = [value for value in request[name] if value != MISSING[name]]
            values = values[-LENGTHS[name]:] if name == "history" else values[:LENGTHS[name]]
            padded[place, :len(values)] = vocabulary.lookup(pa.array(values, kind))
        batch[row.column] = padded
    quality = np.array([request["quality"] for request in requests], np.float32)
    batch["quality"] = np.where(np.isinf(quality), np.float32("nan"), quality)
    return dict(zip(("score", "score_liked"), ranker.score(batch).numpy().T, strict=True))


def tensors(requests):
    columns = {}
    for name in KINDS:
        values = [request[name] for request in requests]
        if name in MISSING:
            longest = max(map(len, values))
            values = [[*each, *[MISSING[name]] * (longest - len(each))] for each in values]
            columns[name] = np.array(values, np.int64 if name == "codes" else object).reshape(len(requests), longest)
        else:
            columns[name] = np.array(values, {"user_id": np.int64, "topic": np.int64, "quality": np.float32}.get(
                name, object))
    return columns


def example(request):
    features = {}
    for name, value in request.items():
        values = value if isinstance(value, list) else [value]
        if name in ("user_id", "topic", "codes"):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        elif name == "quality":
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in values]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def same(found, expected):
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5, err_msg=name)


@given(requests=REQUESTS)
@settings(deadline=None, max_examples=40)
def test_any_raw_values_score_as_in_training(served, ranker, kinds_dataset, requests):
    expected = trained_scores(ranker, kinds_dataset, requests)
    same(served.run("serving_default", tensors(requests)), expected)
    examples = {"inputs": np.array([example(request) for request in requests], object)}
    same(served.run("predict_examples", examples), expected)
    same(served.run("regress", examples), {"outputs": expected["score"]})
    classified = served.run("classify", examples)
    assert classified["classes"].tolist() == [[b"clicked", b"liked"]] * len(requests)
    same(classified, {"scores": np.stack([expected["score"], expected["score_liked"]], axis=1)})


@given(requests=REQUESTS, one_context=st.booleans())
@settings(deadline=None, max_examples=40)
def test_candidates_of_a_user_are_ranked_as_in_training(served, ranker, kinds_dataset, requests, one_context):
    shared = (*USER, *CONTEXT) if one_context else USER
    candidates = [request | {name: requests[0][name] for name in shared} for request in requests]
    columns = tensors(candidates)
    columns |= {name: columns[name][:1] for name in shared}
    same(served.run("rank", columns), trained_scores(ranker, kinds_dataset, candidates))


@given(ids=st.lists(STRINGS, max_size=5), users=st.lists(INTEGERS, max_size=5))
@settings(deadline=None, max_examples=20)
def test_embeddings_are_rows_of_the_rankers_table(served, ranker, kinds_dataset, ids, users):
    for signature, name, values, kind in (("item_embedding", "item_id", ids, pa.string()),
                                          ("user_embedding", "user_id", users, pa.int64())):
        space = name.removesuffix("_id")
        rows = kinds_dataset.vocabulary(space).lookup(pa.array(values, kind))
        found = served.run(signature, {name: np.array(values, object if space == "item" else np.int64)})
        np.testing.assert_array_equal(found["embedding"], ranker.tables[space].numpy()[rows])
