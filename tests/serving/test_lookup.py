"""Served lookups against ``Vocabulary.rows`` and literal rows, before and after the session loader."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.serving.lookup import VocabularyLookup
from tfrs_pretrain.vocabulary import Vocabulary

STRINGS = ["milk", "", "ítem-12", "日本語", "a\nb", "\x00"]
INTEGERS = [7, -1, 2**63 - 1, -(2**63), 0]


def vocabulary(kind):
    ids = pa.array(STRINGS, pa.string()) if kind == "string" else pa.array(INTEGERS, pa.int64())
    return Vocabulary(ids, np.ones(len(ids), np.int64), oov_rows=5)


@pytest.fixture(scope="module", params=["string", "int64"])
def case(request, tmp_path_factory):
    words = vocabulary(request.param)
    return words, VocabularyLookup(words, tmp_path_factory.mktemp("assets") / "ids")


def test_admitted_ids_follow_the_shared_rows(case):
    words, lookup = case
    rows = lookup.rows(tf.constant(words.ids.to_pylist(), words.dtype)).numpy()
    assert rows.tolist() == list(range(5, 5 + len(words.ids)))


def test_unknown_ids_share_rows_as_in_the_vocabulary(case):
    words, lookup = case
    unknown = [f"unseen-{i}" for i in range(200)] if words.dtype == "string" else list(range(1000, 1200))
    rows = lookup.rows(tf.constant(unknown, words.dtype)).numpy()
    assert set(rows.tolist()) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(rows, words.rows(pa.array(unknown, words.ids.type)))


def test_missing_values_are_ordinary_ids(case):
    words, lookup = case
    missing = tf.constant([""] if words.dtype == "string" else [-1], words.dtype)
    assert lookup.rows(missing).numpy().tolist() == [6]
    np.testing.assert_array_equal(words.rows(pa.array([None], words.ids.type)), [6])


@given(ids=st.lists(st.one_of(st.text(), st.sampled_from(STRINGS)), max_size=20))
@settings(deadline=None)
def test_any_string_maps_as_in_the_vocabulary(string_case, ids):
    words, lookup = string_case
    expected = words.rows(pa.array(ids, pa.string()))
    np.testing.assert_array_equal(lookup.rows(tf.constant(ids, tf.string)).numpy(), expected)


@pytest.fixture(scope="module")
def string_case(tmp_path_factory):
    words = vocabulary("string")
    return words, VocabularyLookup(words, tmp_path_factory.mktemp("assets") / "ids")


def test_the_session_loader_fills_the_table_from_the_copied_file(tmp_path):
    asset = tmp_path / "ids"
    lookup = VocabularyLookup(vocabulary("string"), asset)
    holder = tf.Module()
    holder.lookup = lookup
    spec = [tf.TensorSpec([None], tf.string, "ids")]
    serve = tf.function(lambda ids: {"rows": lookup.rows(ids)}, input_signature=spec)
    tf.saved_model.save(holder, str(tmp_path / "model"), signatures={"serving_default": serve})
    asset.unlink()
    moved = (tmp_path / "model").rename(tmp_path / "moved")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(moved))
        signature = graph.signature_def["serving_default"]
        rows = session.run(signature.outputs["rows"].name, {signature.inputs["ids"].name: ["milk", "a\nb", "日本語"]})
    assert rows.tolist() == [5, 9, 8]
