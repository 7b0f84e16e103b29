"""An answer from the shell: Stage I's candidates, Stage II's scores on the raw values of the tables."""

import collections
import json
import math
import shutil

import numpy as np
import pyarrow as pa
import pytest
from resealed import rewrite

from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.retrieval.artifact import ItemIndex
from tfrs_pretrain.retrieval.build import build_index
from tfrs_pretrain.retrieval.features import read_candidate_features
from tfrs_pretrain.retrieval.recommend import RecommendationRequest, recommend

PADDING = -1


@pytest.fixture
def ask(shop, shop_embeddings, tmp_path):
    build_index(shop_embeddings, tmp_path / "index", approximate="hnsw")
    index = ItemIndex.open(tmp_path / "index")

    def answer(user, **words):
        return recommend(RecommendationRequest(user, **words), shop.dataset, shop_embeddings, index, shop.ranker)

    return answer


@pytest.fixture(scope="module")
def shown(shop):
    """Raw impressions inside the ranking windows, by user and by item."""
    table = shop.raw["impressions"].to_pylist()
    return [line for line in table if 20 <= line["day"] < 34]


def rows_of(shop, name, value):
    dtype = pa.string() if isinstance(value, str) else pa.int64()
    return int(shop.dataset.vocabulary(name).lookup(pa.array([value], dtype))[0])


def popular(shop):
    """A user who was admitted, and shown something."""
    vocabulary = shop.dataset.vocabulary("user")
    return vocabulary.ids[0].as_py(), vocabulary.oov_rows


def engaged(shop, user_row):
    blocks = pair_blocks(shop.dataset.files("pairs/train")).as_numpy_iterator()
    return {int(item) for block in blocks for user, item in zip(block["query"], block["candidate"], strict=True)
            if user == user_row}


def naive_batch(shop, shown, user, items, surface):
    """A ranker's batch for raw ids, from the raw tables, without the history."""
    seen_items = {line["item"] for line in shown}
    about = {line["item"]: line for line in shop.raw["items"].to_pylist()}
    countries = {line["member"]: line["country"] for line in shop.raw["users"].to_pylist()}
    known = any(line["member"] == user for line in shown)
    lines = []
    for item in items:
        table = about[item] if item in seen_items else {"topic_id": None, "quality": None, "tags": []}
        tags = [rows_of(shop, "tags", tag) for tag in table["tags"][:2]]
        lines.append({
            "user": rows_of(shop, "user", user), "item": rows_of(shop, "item", item),
            "surface": rows_of(shop, "surface", surface),
            "topic": rows_of(shop, "topic", -1 if table["topic_id"] is None else table["topic_id"]),
            "quality": np.float32(math.nan if table["quality"] is None else table["quality"]),
            "country": rows_of(shop, "country", (countries[user] or "") if known else ""),
            "tags": tags + [PADDING] * (2 - len(tags)), "badges": [PADDING, PADDING], "seconds": np.float32(math.nan)})
    return {name: np.array([line[name] for line in lines]) for name in lines[0]}


def test_scores_are_the_rankers_on_the_raw_values(shop, shown, ask):
    user, _ = popular(shop)
    answer = ask(str(user), top=40, candidates=40, with_seen=True, context={"surface": "search"})
    items = [entry["item"] for entry in answer["items"]]
    assert len(set(items)) == 40
    batch = naive_batch(shop, shown, user, items, "search")
    ranker = load_ranker(shop.ranker, shop.dataset)
    found = read_candidate_features(shop.dataset, ranker.inputs.columns, user, batch["item"], {"surface": "search"})
    for name, values in batch.items():
        np.testing.assert_array_equal(found.columns[name], values, err_msg=name)
    batch["history"] = found.columns["history"]
    scores = ranker.score(batch).numpy()[:, 0]
    np.testing.assert_allclose([entry["score"] for entry in answer["items"]], scores, rtol=1e-5)
    assert (np.diff(scores) <= 1e-7).all()


def test_user_features_are_those_of_the_user(shop, shown):
    countries = {line["member"]: line["country"] for line in shop.raw["users"].to_pylist()}
    ranker = load_ranker(shop.ranker, shop.dataset)
    users = sorted({line["member"] for line in shown})[:6]
    assert len({countries[user] for user in users}) > 2
    for user in users:
        found = read_candidate_features(shop.dataset, ranker.inputs.columns, user, np.array([10]), {"surface": "home"})
        assert found.columns["country"].tolist() == [rows_of(shop, "country", countries[user] or "")]
        assert found.user_seen


def test_history_is_one_that_the_user_had_in_the_latest_window(shop, shown):
    users = collections.Counter(line["member"] for line in shown if line["day"] >= 30)
    user = users.most_common(1)[0][0]
    ranker = load_ranker(shop.ranker, shop.dataset)
    found = read_candidate_features(shop.dataset, ranker.inputs.columns, user, np.array([10, 11]), {})
    assert (found.columns["history"][0] == found.columns["history"][1]).all()
    acts = sorted((line["ts"], line["item"]) for line in shop.raw["engagements"].to_pylist() if line["member"] == user)
    histories = []
    for line in shown:
        if line["member"] == user and line["day"] >= 30:
            before = [rows_of(shop, "item", item) for time, item in acts if time < line["ts"]][-3:]
            histories.append(before + [PADDING] * (3 - len(before)))
    assert found.columns["history"][0].tolist() in histories


def test_candidates_are_the_nearest_items_that_are_new(shop, shop_embeddings, ask):
    user, row = popular(shop)
    seen = engaged(shop, row)
    answer = ask(str(user), top=50, candidates=20, exact=True)
    users, rows = (np.array(shop_embeddings.matrix(table)) for table in ("user", "item"))
    rows, query = rows / np.linalg.norm(rows, axis=1, keepdims=True), users[row] / np.linalg.norm(users[row])
    order = [place for place in np.argsort(-(rows @ query)) if place >= 8 and place not in seen][:20]
    vocabulary = shop.dataset.vocabulary("item")
    assert answer["seen_excluded"] == len(seen) > 0
    assert answer["known"] is True
    expected = {vocabulary.ids[place - 8].as_py(): (rank, rows[place] @ query)
                for rank, place in enumerate(order, start=1)}
    assert {entry["item"]: entry["stage_one_rank"] for entry in answer["items"]} == {
        item: rank for item, (rank, _) in expected.items()}
    for entry in answer["items"]:
        assert entry["similarity"] == pytest.approx(expected[entry["item"]][1], rel=1e-5)


def test_more_candidates_than_items_is_every_item(shop, ask):
    user, _ = popular(shop)
    answer = ask(str(user), top=10**6, candidates=10**6, with_seen=True)
    assert sorted(entry["item"] for entry in answer["items"]) == sorted(shop.dataset.vocabulary("item").ids.to_pylist())
    assert answer["retrieved_by"] == "approximate"


def test_who_has_seen_everything_gets_nothing(shop, ask, monkeypatch):
    every = np.arange(8, shop.dataset.num_rows("item"))
    monkeypatch.setattr("tfrs_pretrain.retrieval.recommend._engaged_items", lambda *_: every)
    answer = ask(str(popular(shop)[0]))
    assert (answer["items"], answer["candidates"], answer["seen_excluded"]) == ([], 0, len(every))


def test_unknown_users_get_popular_items_as_serving_ranks_them(shop, shown, ask):
    answer = ask("424242", top=5, candidates=5, context={"surface": "home"})
    vocabulary = shop.dataset.vocabulary("item")
    assert sorted(entry["item"] for entry in answer["items"]) == sorted(vocabulary.ids.to_pylist()[:5])
    assert (answer["known"], answer["retrieved_by"]) == (False, "popularity")
    assert "similarity" not in answer["items"][0]
    batch = naive_batch(shop, shown, 424242, [entry["item"] for entry in answer["items"]], "home")
    batch["history"] = np.full((5, 3), PADDING)
    scores = load_ranker(shop.ranker, shop.dataset).score(batch).numpy()[:, 0]
    np.testing.assert_allclose([entry["score"] for entry in answer["items"]], scores, rtol=1e-5)
    assert any("not in the vocabulary" in note for note in answer["notes"])
    assert any("this user has no impressions" in note for note in answer["notes"])


def test_context_that_nobody_named_is_the_most_frequent_in_training(shop, shown, ask):
    counts = collections.Counter(line["surface"] for line in shown if line["day"] < 28)
    most = counts.most_common(1)[0][0]
    answer = ask(str(popular(shop)[0]), top=3)
    assert answer["context"] == {"surface": most, "badges": None, "seconds": None}
    assert f"surface={most}" in answer["notes"][-1]
    named = ask(str(popular(shop)[0]), top=3, context={"surface": most})
    assert named["items"] == answer["items"]
    assert "surface" not in named["notes"][-1]


def test_named_context_is_what_the_ranker_sees(shop, ask):
    columns = load_ranker(shop.ranker, shop.dataset).inputs.columns
    context = {"surface": "related", "badges": "[7, 3, 4]", "seconds": "-2.5"}
    found = read_candidate_features(shop.dataset, columns, 1000, np.array([9, 10]), context)
    assert found.assumed == {}
    assert found.columns["surface"].tolist() == [rows_of(shop, "surface", "related")] * 2
    assert found.columns["badges"].tolist() == [[rows_of(shop, "badges", 7), rows_of(shop, "badges", 3)]] * 2
    assert found.columns["seconds"].tolist() == [-2.5, -2.5]
    one, other = (ask("1000", context=context | {"seconds": text})["items"] for text in ("-2.5", "2.5"))
    assert [entry["score"] for entry in one] != [entry["score"] for entry in other]


@pytest.mark.parametrize(("user", "words", "message"), [
    ("12x", {}, "user id '12x': expected an integer of 64 bits, as in column 'member'"),
    ("9" * 30, {}, "expected an integer of 64 bits"),
    ("1000", {"context": {"dwell": "3"}}, r"'dwell' is no feature .* name one of \['badges', 'seconds', 'surface'\]"),
    ("1000", {"context": {"topic": "3"}}, "'topic' is no feature of the impression log"),
    ("1000", {"context": {"seconds": "long"}}, "--context seconds=long: expected one value of float32"),
    ("1000", {"context": {"badges": "7"}}, "--context badges=7: expected a JSON array of int64"),
    ("1000", {"context": {"badges": '["a"]'}}, "expected a JSON array of int64"),
])
def test_mistakes_are_one_line(user, words, message, ask):
    with pytest.raises(UserError, match=message) as refused:
        ask(user, **words)
    assert "\n" not in str(refused.value)


def test_parts_that_do_not_belong_together_are_refused(shop, shop_embeddings, tiny_dataset, write_embeddings, tmp_path):
    build_index(shop_embeddings, tmp_path / "index", approximate="none")
    index = ItemIndex.open(tmp_path / "index")
    vocabularies = shop.dataset.vocabulary("user"), shop.dataset.vocabulary("item")
    zeros = {"user": np.zeros((vocabularies[0].num_rows, 8)), "item": np.zeros((vocabularies[1].num_rows, 8))}
    others = write_embeddings(*vocabularies, zeros, name="others")
    with pytest.raises(UserError, match=r"index .* was built from other embeddings"):
        recommend(RecommendationRequest("1000"), shop.dataset, others, index, shop.ranker)
    with pytest.raises(UserError, match="trained with another vocabulary"):
        recommend(RecommendationRequest("1000"), tiny_dataset, shop_embeddings, index, shop.ranker)


def test_a_ranker_of_another_run_is_told(shop, shop_embeddings, tmp_path):
    """Last week's ranker, this week's index: they may be used together, but nobody should do so unawares."""
    ranker, index = shutil.copytree(shop.ranker, tmp_path / "ranker"), tmp_path / "index"
    build_index(shop_embeddings, index)

    def told(**changes):
        tables = {name: table | changes for name, table in shop_embeddings.manifest["tables"].items()}
        manifest = json.loads((shop.ranker / "manifest.json").read_text())
        manifest["embeddings"] = {"window": {"start": 3, "end": 9}, "tables": tables}
        rewrite(ranker / "manifest.json", manifest)
        answer = recommend(RecommendationRequest(user="4200"), shop.dataset, shop_embeddings, ItemIndex.open(index),
                           ranker)
        return [note for note in answer["notes"] if "different runs" in note]

    assert told() == []
    [note] = told(rows_digest="0" * 64)
    assert "of the window 3 to 9" in note


def test_the_commands_print_a_table_and_json(shop, shop_embeddings, tmp_path, capsys):
    from tfrs_pretrain.cli import app

    folders = ["--embeddings", str(shop_embeddings.folder)]
    app(["index", *folders, "--output", str(tmp_path / "index"), "--k", "5"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert "recall@5" in printed
    assert "approximate (hnsw)" in printed
    folders += ["--dataset", str(shop.dataset.folder), "--index", str(tmp_path / "index"), "--ranker", str(shop.ranker)]
    user = str(popular(shop)[0])
    app(["recommend", user, *folders, "--top", "2", "--context", "surface=home"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert f"user {user}" in printed
    app(["recommend", user, *folders, "--top", "2", "--context", "surface=home", "--json"], standalone_mode=False)
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["items"]) == 2
    assert all(entry["item"] in printed for entry in answer["items"])
    with pytest.raises(UserError, match="write it as FEATURE=VALUE"):
        app(["recommend", user, *folders, "--context", "surface"], standalone_mode=False)
    with pytest.raises(UserError, match="--approximate 'fast' is unknown"):
        app(["index", *folders[:2], "--output", str(tmp_path / "x"), "--approximate", "fast"], standalone_mode=False)
