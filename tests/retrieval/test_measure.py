"""Sampling of users, and searches in small indexes with known answers."""

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.retrieval.artifact import ItemIndex, index_file, search
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.retrieval.measure import measure, query_recalls, sample_users
from tfrs_pretrain.vocabulary import Vocabulary


def vocabulary(count):
    return Vocabulary(pa.array(np.arange(count)), np.ones(count, np.int64), oov_rows=4)


def test_a_sample_has_admitted_users_alone_each_once():
    rows = sample_users(vocabulary(50), 20)
    assert len(set(rows.tolist())) == len(rows) == 20
    assert rows.min() >= 4
    assert rows.max() < 54
    assert (np.diff(rows) > 0).all()


def test_a_sample_is_the_same_every_time_and_grows_by_adding():
    small, large = (set(sample_users(vocabulary(50), count).tolist()) for count in (10, 20))
    assert small < large
    assert small == set(sample_users(vocabulary(50), 10).tolist())
    assert small != set(range(4, 14))


def test_a_sample_of_more_than_there_are_is_everybody():
    assert sample_users(vocabulary(5), 100).tolist() == [4, 5, 6, 7, 8]
    assert sample_users(vocabulary(0), 100).tolist() == []


def flat(vectors):
    faiss = load_faiss()
    index = faiss.IndexIDMap(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.arange(7, 7 + len(vectors)))
    return index


def test_scores_fall_and_labels_are_those_given():
    index = flat(np.array([[1, 0], [0, 1], [3, 3]]))
    scores, rows = search(index, np.array([[1.0, 0.5]]), 2)
    assert (scores.tolist(), rows.tolist()) == ([[4.5, 1.0]], [[9, 7]])


def test_queries_of_another_precision_or_order_are_converted():
    index = flat(np.eye(3))
    queries = np.asfortranarray(np.random.default_rng(0).normal(size=(5, 3)))
    _, rows = search(index, queries, 3)
    np.testing.assert_array_equal(rows, np.argsort(-queries, axis=1) + 7)


def test_an_empty_corpus_has_empty_lists():
    scores, rows = search(flat(np.empty((0, 2))), np.ones((3, 2)), 10)
    assert (scores.shape, rows.shape, rows.dtype) == ((3, 0), (3, 0), np.int64)


def test_missing_answers_count_as_not_found():
    assert query_recalls(np.array([[-1, 3]]), np.array([[3, 4]]), 2).mean() == 0.5
    assert query_recalls(np.array([[3, -1]]), np.array([[3, 4]]), 1).mean() == 1


def test_measuring_leaves_the_number_of_threads_as_it_was():
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        measured = measure({"exact": flat(np.eye(4))}, np.eye(4, dtype=np.float32), (1, 3))
        assert faiss.omp_get_max_threads() == 2

        def fail(*_):
            raise RuntimeError("broken index")

        broken = flat(np.eye(4))
        broken.search = fail
        with pytest.raises(RuntimeError, match="broken index"):
            measure({"exact": broken}, np.eye(4, dtype=np.float32), (1,))
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)
    assert measured["exact"].keys() == {"recall@1", "recall@3", "p50_ms", "p99_ms", "intervals"}
    assert measured["exact"]["intervals"] == {"recall@1": [1, 1], "recall@3": [1, 1]}
    assert measure({"exact": flat(np.eye(4))}, np.empty((0, 4), np.float32), (1,)) == {}


def test_an_index_that_is_not_there_or_broken_is_named(tmp_path):
    index = ItemIndex(tmp_path, {"indexes": {"exact": {}}})
    with pytest.raises(UserError, match=r"has no approximate index, only \['exact'\]: build it again with --approx"):
        index.load("approximate")
    (tmp_path / index_file("exact")).write_bytes(b"no index at all")
    with pytest.raises(UserError, match=r"exact.faiss' cannot be read .* with this version of Faiss") as refused:
        index.load("exact")
    assert "\n" not in str(refused.value)
