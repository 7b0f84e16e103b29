"""Served lookups against ``Vocabulary.lookup`` and literal rows, before and after the session loader."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.serving.graph import lookup as module
from tfrs_pretrain.serving.graph.lookup import HashedLookup, SortedLookup, make_lookup
from tfrs_pretrain.vocabulary import Vocabulary

STRINGS = ["milk", "", "ítem-12", "日本語", "a\nb", "\x00"]
INTEGERS = [7, -1, 2**63 - 1, -(2**63), 0]


def vocabulary(kind, oov_rows=5):
    ids = pa.array(STRINGS, pa.string()) if kind == "string" else pa.array(INTEGERS, pa.int64())
    return Vocabulary(ids, np.ones(len(ids), np.int64), oov_rows)


def made(lookup, words, folder):
    return SortedLookup(words) if lookup == "sorted" else HashedLookup(words, folder / "ids")


@pytest.fixture(scope="module", params=[(kind, lookup) for kind in ("string", "int64")
                                        for lookup in ("hashed", "sorted")])
def case(request, tmp_path_factory):
    kind, lookup = request.param
    words = vocabulary(kind)
    return words, made(lookup, words, tmp_path_factory.mktemp("assets"))


def test_admitted_ids_follow_the_shared_rows(case):
    words, lookup = case
    rows = lookup.lookup(tf.constant(words.ids.to_pylist(), words.dtype)).numpy()
    assert rows.tolist() == list(range(5, 5 + len(words.ids)))


def test_unknown_ids_share_rows_as_in_the_vocabulary(case):
    words, lookup = case
    unknown = [f"unseen-{i}" for i in range(200)] if words.dtype == "string" else list(range(1000, 1200))
    rows = lookup.lookup(tf.constant(unknown, words.dtype)).numpy()
    assert set(rows.tolist()) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(rows, words.lookup(pa.array(unknown, words.ids.type)))


@pytest.mark.parametrize("kind", ["string", "int64"])
@pytest.mark.parametrize("lookup", ["hashed", "sorted"])
def test_ids_keep_their_rows_beside_free_rows(kind, lookup, tmp_path):
    whole = vocabulary(kind)
    words = whole.with_freed(np.array([5, 8]))
    module = tf.Module()
    module.lookup = made(lookup, words, tmp_path)
    module.rows = tf.function(module.lookup.lookup, input_signature=[tf.TensorSpec([None], words.dtype)],
                              autograph=False)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    for path in (tmp_path / "ids", tmp_path / "ids.rows"):
        path.unlink(missing_ok=True)  # the SavedModel has its own copies
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    rows = loaded.rows(tf.constant(whole.ids.to_pylist(), words.dtype)).numpy()
    np.testing.assert_array_equal(rows, words.lookup(whole.ids))
    assert [row for row in rows if row >= 5] == [row for row in range(5, 5 + len(whole.ids)) if row not in (5, 8)]


def test_missing_values_are_ordinary_ids(case):
    words, lookup = case
    missing = tf.constant([""] if words.dtype == "string" else [-1], words.dtype)
    assert lookup.lookup(missing).numpy().tolist() == [6]
    np.testing.assert_array_equal(words.lookup(pa.array([None], words.ids.type)), [6])


@given(ids=st.lists(st.one_of(st.text(), st.sampled_from(STRINGS)), max_size=20))
@settings(deadline=None)
def test_any_string_maps_as_in_the_vocabulary(string_case, ids):
    words, lookup = string_case
    expected = words.lookup(pa.array(ids, pa.string()))
    np.testing.assert_array_equal(lookup.lookup(tf.constant(ids, tf.string)).numpy(), expected)


@pytest.fixture(scope="module", params=["hashed", "sorted"])
def string_case(request, tmp_path_factory):
    words = vocabulary("string")
    return words, made(request.param, words, tmp_path_factory.mktemp("assets"))


@given(ids=st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from(INTEGERS)), max_size=20))
@settings(deadline=None)
def test_any_integer_maps_as_in_the_vocabulary(ids):
    words = vocabulary("int64")
    expected = words.lookup(pa.array(ids, pa.int64()))
    np.testing.assert_array_equal(SortedLookup(words).lookup(tf.constant(ids, tf.int64)).numpy(), expected)


@pytest.mark.parametrize("lookup", ["hashed", "sorted"])
def test_one_shared_row_takes_all_unknown_ids(lookup, tmp_path):
    words = vocabulary("string", oov_rows=1)
    rows = made(lookup, words, tmp_path).lookup(tf.constant(["milk", "never", "日本語", ""]))
    assert rows.numpy().tolist() == [1, 0, 4, 2]


def test_large_vocabularies_use_the_sorted_lookup(tmp_path, monkeypatch):
    words = vocabulary("int64")
    assert isinstance(make_lookup(words, tmp_path / "ids"), HashedLookup)
    monkeypatch.setattr(module, "SORTED_FROM", len(INTEGERS))
    assert isinstance(make_lookup(words, tmp_path / "ids"), SortedLookup)


def test_colliding_hashes_lead_to_another_hash_key(monkeypatch):
    words = vocabulary("string")
    monkeypatch.setattr(module, "NUM_HASHES", 16)
    rows = SortedLookup(words).lookup(tf.constant(words.ids.to_pylist(), tf.string)).numpy()
    assert rows.tolist() == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("kind", ["hashed", "sorted"])
def test_the_session_loader_restores_a_lookup_from_the_copied_files(kind, tmp_path):
    lookup = made(kind, vocabulary("string"), tmp_path)
    holder = tf.Module()
    holder.lookup = lookup
    spec = [tf.TensorSpec([None], tf.string, "ids")]
    serve = tf.function(lambda ids: {"rows": lookup.lookup(ids)}, input_signature=spec, autograph=False)
    tf.saved_model.save(holder, str(tmp_path / "model"), signatures={"serving_default": serve})
    (tmp_path / "ids").unlink(missing_ok=True)
    moved = (tmp_path / "model").rename(tmp_path / "moved")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(moved))
        signature = graph.signature_def["serving_default"]
        rows = session.run(signature.outputs["rows"].name, {signature.inputs["ids"].name: ["milk", "a\nb", "日本語"]})
    assert rows.tolist() == [5, 9, 8]
