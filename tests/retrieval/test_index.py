"""Item indexes: the exact one is a sort of all scores, the approximate one is measured against it."""

import json
import sys

import numpy as np
import pyarrow as pa
import pytest
from small_files import file_size_limit

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.retrieval.artifact import ItemIndex, search
from tfrs_pretrain.retrieval.build import build_index
from tfrs_pretrain.retrieval.measure import measure, query_recalls
from tfrs_pretrain.retrieval.vectors import StageOneVectors
from tfrs_pretrain.system_errors import describe_system_error
from tfrs_pretrain.vocabulary import Vocabulary

OOV = 3


def vocabulary(ids, oov_rows=OOV):
    ids = pa.array(ids, pa.string() if ids and isinstance(ids[0], str) else pa.int64())
    return Vocabulary(ids, np.arange(len(ids), 0, -1), oov_rows)


USERS = vocabulary(list(range(40)))
STRINGS = vocabulary([f"ítem {number} 日本" for number in range(300)])
INTEGERS = vocabulary([10**12 - number for number in range(300)])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("items", [STRINGS, INTEGERS], ids=["strings", "integers"])
@pytest.mark.parametrize("normalize", [True, False])
def test_exact_index_is_a_sort_of_all_scores(items, normalize, write_embeddings, tmp_path):
    embeddings = write_embeddings(USERS, items, objective={"normalize": normalize})
    build_index(embeddings, tmp_path / "index", approximate="none")
    index = ItemIndex.open(tmp_path / "index")
    users, rows = np.array(embeddings.matrix("user"))[OOV:], np.array(embeddings.matrix("item"))[OOV:]
    expected = (unit(users) @ unit(rows).T) if normalize else users @ rows.T
    scores, found = search(index.load("exact"), StageOneVectors(embeddings).users(np.arange(OOV, USERS.num_rows)), 20)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(found, order + OOV)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, order, axis=1), rtol=1e-5)
    ids = index.vocabulary().ids
    assert [ids[row - OOV].as_py() for row in found[0]] == [items.ids[place].as_py() for place in order[0]]
    assert index.manifest["vocabulary_digest"] == items.digest


def test_free_rows_have_no_entry(write_embeddings, tmp_path):
    items = STRINGS.with_freed(np.arange(OOV, STRINGS.num_rows, 2))
    embeddings = write_embeddings(USERS.with_freed(np.array([OOV])), items)
    manifest = build_index(embeddings, tmp_path / "index", approximate="hnsw", cutoffs=(10,))
    assert (manifest["items"], manifest["measured_users"]) == (150, 39)
    index = ItemIndex.open(tmp_path / "index")
    for name in index.names:
        _, rows = search(index.load(name), StageOneVectors(embeddings).users(np.array([4])), 300)
        assert set(rows[rows >= 0].tolist()) <= set(items.id_rows.tolist())


@pytest.mark.parametrize("kind", ["none", "hnsw"])
def test_a_list_longer_than_the_corpus_is_the_whole_corpus(kind, write_embeddings, tmp_path):
    embeddings = write_embeddings(USERS, vocabulary(["a", "b", "c"]))
    manifest = build_index(embeddings, tmp_path / "index", approximate=kind, cutoffs=(10,))
    index = ItemIndex.open(tmp_path / "index")
    for name in index.names:
        scores, rows = search(index.load(name), StageOneVectors(embeddings).users(np.arange(3, 8)), 50)
        assert rows.shape == scores.shape == (5, 3)
        assert (np.sort(rows, axis=1) == [3, 4, 5]).all()
        assert manifest["indexes"][name]["recall@10"] == 1.0


def test_no_item_or_no_user(write_embeddings, tmp_path):
    with pytest.raises(UserError, match="no admitted item, so there is nothing to index"):
        build_index(write_embeddings(USERS, vocabulary([])), tmp_path / "index")
    nobody = write_embeddings(vocabulary([]), STRINGS, name="nobody")
    manifest = build_index(nobody, tmp_path / "index", approximate="hnsw")
    assert manifest["measured_users"] == 0
    assert set(manifest["indexes"]["exact"]) == {"bytes"}  # nobody to measure with


def test_recall_is_the_share_that_was_found():
    exact = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    found = np.array([[2, 1, 9, 4], [-1, -1, -1, -1]])
    assert query_recalls(found, exact, 2).mean() == pytest.approx((2 / 2 + 0 / 2) / 2)
    assert query_recalls(found, exact, 4).mean() == pytest.approx((3 / 4 + 0) / 2)


class Half:
    """An index that finds every second item."""

    def __init__(self, exact):
        self.exact, self.ntotal = exact, exact.ntotal

    def search(self, queries, k):
        scores, rows = self.exact.search(queries, k)
        return scores, np.where(np.arange(k) % 2, -1, rows)


def test_measured_recall_is_against_the_exact_index(write_embeddings, tmp_path):
    embeddings = write_embeddings(USERS, STRINGS)
    build_index(embeddings, tmp_path / "index", approximate="none")
    exact = ItemIndex.open(tmp_path / "index").load("exact")
    users = StageOneVectors(embeddings).users(np.arange(3, 43))
    measured = measure({"exact": exact, "half": Half(exact)}, users, (4, 5))
    assert (measured["half"]["recall@4"], measured["half"]["recall@5"]) == (0.5, pytest.approx(0.6))
    assert measured["exact"]["recall@5"] == 1
    assert 0 < measured["half"]["p50_ms"] <= measured["half"]["p99_ms"]


def test_the_printed_recall_of_hnsw_is_what_a_naive_comparison_finds(write_embeddings, tmp_path):
    embeddings = write_embeddings(USERS, vocabulary(list(range(2000))))
    manifest = build_index(embeddings, tmp_path / "index", approximate="hnsw", cutoffs=(10,))
    users, rows = (np.array(embeddings.matrix(table))[OOV:] for table in ("user", "item"))
    naive = np.argsort(-(unit(users) @ unit(rows).T), axis=1)[:, :10] + OOV
    _, found = search(ItemIndex.open(tmp_path / "index").load("approximate"), unit(users).astype(np.float32), 10)
    shares = [len(set(one) & set(other)) / 10 for one, other in zip(naive.tolist(), found.tolist(), strict=True)]
    assert manifest["indexes"]["approximate"]["recall@10"] == pytest.approx(np.mean(shares))
    assert np.mean(shares) > 0.9


def test_codes_need_enough_items_and_take_less_room(write_embeddings, tmp_path):
    with pytest.raises(UserError, match=r"at least 9984 items .* there are 300: choose --approximate hnsw"):
        build_index(write_embeddings(USERS, STRINGS), tmp_path / "index", approximate="ivfpq")
    random = np.random.default_rng(0)
    many = vocabulary(list(range(9984)))
    rows = {"user": random.normal(size=(USERS.num_rows, 5)), "item": random.normal(size=(many.num_rows, 5))}
    embeddings = write_embeddings(USERS, many, rows, name="many", dim=5)  # no multiple of 4
    manifest = build_index(embeddings, tmp_path / "index", approximate="ivfpq", cutoffs=(100,))
    entries = manifest["indexes"]
    assert entries["approximate"]["bytes"] < 0.8 * entries["exact"]["bytes"]
    assert 0.2 < entries["approximate"]["recall@100"] < 1


def test_vectors_are_those_of_the_model_with_its_popularity_prior(shop, write_embeddings, tmp_path):
    from tfrs_pretrain.config import parse_config
    from tfrs_pretrain.pretraining.build import build_model

    config = parse_config(shop.config.resolved(), ["pretraining.objective.popularity_prior=0.5"], origin="test")
    model = build_model(config, shop.dataset, 10)
    rows = {"user": model.users.numpy(), "item": model.items.numpy()}
    vocabularies = shop.dataset.vocabulary("user"), shop.dataset.vocabulary("item")
    embeddings = write_embeddings(*vocabularies, rows, dataset=shop.dataset, temperature=float(model.temperature),
                                  objective={"popularity_prior": 0.5})
    vectors = StageOneVectors(embeddings, shop.dataset)
    every = {name: np.arange(len(table)) for name, table in rows.items()}
    for found, expected in ((vectors.users(every["user"]), model.query_vectors(every["user"])),
                            (vectors.items(every["item"]), model.candidate_vectors(every["item"]))):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    with pytest.raises(UserError, match="popularity prior, which is part of their score: name their dataset"):
        build_index(embeddings, tmp_path / "index")
    manifest = build_index(embeddings, tmp_path / "index", dataset=shop.dataset, approximate="none")
    assert manifest["dim"] == 9


def test_changed_files_are_noticed(write_embeddings, tmp_path):
    build_index(write_embeddings(USERS, STRINGS), tmp_path / "index")
    path = tmp_path / "index" / "approximate.faiss"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"approximate.faiss': expected .* CRC-32C .* restore a copy"):
        ItemIndex.open(tmp_path / "index")


def test_nothing_is_left_of_a_build_that_fails(write_embeddings, tmp_path, monkeypatch):
    embeddings = write_embeddings(USERS, STRINGS)
    monkeypatch.setattr("tfrs_pretrain.retrieval.build.measure", lambda *_: json.loads("no"))
    with pytest.raises(ValueError, match="Expecting value"):
        build_index(embeddings, tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings"]


def test_without_faiss_the_extra_is_named(write_embeddings, tmp_path, monkeypatch):
    embeddings = write_embeddings(USERS, STRINGS)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"need Faiss .*pip install 'tfrs-pretrain\[retrieval\]'") as refused:
        build_index(embeddings, tmp_path / "index")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("limit", [0, 1000, 10_000])
def test_a_write_that_fails_is_one_line_and_leaves_nothing(write_embeddings, tmp_path, limit):
    embeddings, output = write_embeddings(USERS, INTEGERS), tmp_path / "deep" / "index"
    with pytest.raises(OSError, match="File too large") as caught, file_size_limit(limit):
        build_index(embeddings, output, cutoffs=(5,))
    assert describe_system_error(caught.value).startswith(f"{str(output)!r}: File too large: ")
    assert list(output.parent.iterdir()) == []


def test_the_finished_index_of_the_same_call_is_kept(write_embeddings, tmp_path, monkeypatch):
    embeddings, output = write_embeddings(USERS, STRINGS), tmp_path / "index"
    build_index(embeddings, output, approximate="none", cutoffs=(10,))
    (tmp_path / ".index.unfinished-0").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("tfrs_pretrain.retrieval.build.measure", lambda *_: pytest.fail("built again"))
        found = build_index(embeddings, output, approximate="none", cutoffs=(10,))
    assert found == ItemIndex.open(output).manifest
    assert not (tmp_path / ".index.unfinished-0").exists()
    for changes in ({"queries": 7}, {"cutoffs": (5,)}, {"approximate": "hnsw"}):
        with pytest.raises(UserError, match="is not empty: pass --overwrite"):
            build_index(embeddings, output, **{"approximate": "none", "cutoffs": (10,)} | changes)
    content = bytearray((output / "exact.faiss").read_bytes())
    content[100] ^= 1
    (output / "exact.faiss").write_bytes(content)
    with pytest.raises(UserError, match=r"exact\.faiss'.* changed after it was written.*, with --overwrite$"):
        build_index(embeddings, output, approximate="none", cutoffs=(10,))
    build_index(embeddings, output, approximate="none", cutoffs=(5,), overwrite=True)
    assert "recall@5" in ItemIndex.open(output).manifest["indexes"]["exact"]
