"""Reading stored predictions, and aligning those of two models on the same impressions."""

import json

import numpy as np
import pyarrow as pa
import pytest
from planted_predictions import PLACES, impressions, write_ranker
from resealed import rewrite

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.predictions import Predictions, align, user_numbers


def select(columns, rows):
    return {name: values.take(pa.array(rows)) if isinstance(values, pa.Array) else np.asarray(values)[rows]
            for name, values in columns.items()}


def test_columns_are_read_back(rankers):
    columns, _ = impressions()
    opened = Predictions.open(rankers["good"])
    np.testing.assert_array_equal(opened.keys, columns["key"])
    np.testing.assert_array_equal(opened.labels, columns["label"])
    np.testing.assert_array_equal(opened.requests, columns["request"])
    ids = np.array(columns["user_id"])
    assert all(len(set(ids[opened.users == code])) == 1 for code in range(60))
    assert opened.users.max() == 59
    assert (opened.source["arm"], opened.source["dataset_digest"], opened.heads) == ("good", "d" * 64, ["label"])


def test_impressions_are_sliced_by_frequency_novelty_and_feature(rankers):
    columns, _ = impressions()
    opened = Predictions.open(rankers["good"])
    assert opened.slicings == ["item_frequency", "items", "users", "place"]
    np.testing.assert_array_equal(opened.slicing("items").codes == 0, columns["item_count"] == 0)
    np.testing.assert_array_equal(opened.slicing("users").codes == 0, columns["user_count"] == 0)
    assert (columns["user_count"] != columns["item_count"]).any()
    cut, values = opened.slicing("place"), np.array(columns["feature.place"].to_pylist())
    assert set(cut.parts) == set(PLACES)
    for part, name in enumerate(cut.parts):
        np.testing.assert_array_equal(cut.positions(part), np.flatnonzero(values == name))
    with pytest.raises(UserError, match=r"cannot slice .* by 'brand': choose from \['item_frequency', 'items'"):
        opened.slicing("brand")


def test_a_feature_value_without_impressions_is_no_part(tmp_path):
    columns, logits = impressions(rows=50)
    columns["feature.place"] = pa.DictionaryArray.from_arrays(np.full(50, 1, np.int32), list(PLACES))
    assert Predictions.open(write_ranker(tmp_path / "r", columns, logits)).slicing("place").parts == ("side",)


def test_further_heads_are_chosen_by_name(tmp_path):
    columns, logits = impressions(rows=50)
    liked = 1 - columns["label"]
    folder = write_ranker(tmp_path / "r", columns | {"label_liked": liked, "score_liked": np.arange(50) / 50}, logits)
    opened = Predictions.open(folder, label="liked")
    np.testing.assert_array_equal(opened.labels, liked)
    assert opened.scores[7] == pytest.approx(0.14)
    assert opened.heads == ["label", "liked"]
    with pytest.raises(UserError, match=r"no column 'label_shared': they predict \['label', 'liked'\]"):
        Predictions.open(folder, label="shared")


def test_predictions_of_an_older_version_can_be_evaluated_but_not_sliced(tmp_path):
    columns, logits = impressions(rows=50)
    old = {name: columns[name] for name in ("key", "user_id", "item_id", "user", "item", "label")}
    opened = Predictions.open(write_ranker(tmp_path / "old", old, logits))
    assert opened.slicings == []
    assert opened.requests is None
    with pytest.raises(UserError, match="train again"):
        opened.slicing("items")


def test_scores_that_are_not_finite_are_refused(tmp_path):
    columns, logits = impressions(rows=50)
    logits[7] = np.nan
    with pytest.raises(UserError, match=f"1 scores are not finite, first for key {columns['key'][7]}"):
        Predictions.open(write_ranker(tmp_path / "r", columns, logits))


def test_impressions_in_another_order_are_aligned(tmp_path):
    columns, logits = impressions(rows=500)
    order = np.random.default_rng(8).permutation(500)
    one, other, notes = align(*(Predictions.open(folder) for folder in (
        write_ranker(tmp_path / "one", columns, logits), write_ranker(tmp_path / "two", select(columns, order),
                                                                      logits[order] + 1))))
    assert notes == []
    for name in ("keys", "labels", "users", "requests"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(other.scores - one.scores, 1, atol=1e-5)


def test_impressions_that_one_model_lacks_are_left_out_and_counted(tmp_path):
    columns, logits = impressions(rows=500)
    first, second = np.arange(0, 400), np.arange(450, 100, -1)
    one, other, notes = align(*(Predictions.open(write_ranker(
        tmp_path / name, select(columns, rows), logits[rows], dataset_digest=name * 64))
        for name, rows in (("1", first), ("2", second))))
    np.testing.assert_array_equal(one.keys, columns["key"][101:400])
    np.testing.assert_array_equal(other.keys, one.keys)
    assert notes == ["the models were evaluated on datasets of different builds",
                     "compared on the 299 impressions that both scored; left out: 101 of the first model's, 51 of the "
                     "second's"]


def test_foreign_impressions_are_refused(tmp_path):
    columns, logits = impressions(rows=50)
    one = Predictions.open(write_ranker(tmp_path / "one", columns, logits))
    other = write_ranker(tmp_path / "two", columns | {"key": columns["key"] + 10**7}, logits)
    with pytest.raises(UserError, match="share no impression"):
        align(one, Predictions.open(other))
    label = columns["label"].copy()
    label[3] = 1 - label[3]
    flipped = write_ranker(tmp_path / "three", columns | {"label": label}, logits)
    with pytest.raises(UserError, match=f"another label or user .* for key {columns['key'][3]}"):
        align(one, Predictions.open(flipped))
    users = columns["user_id"].copy()
    users[49] = users[0]
    moved = write_ranker(tmp_path / "four", columns | {"user_id": users}, logits)
    with pytest.raises(UserError, match=f"another label or user .* for key {columns['key'][49]}"):
        align(one, Predictions.open(moved))


def test_a_version_stands_for_the_ranker_it_was_exported_from(exported, rankers):
    for folder in (exported, exported.parent):
        opened = Predictions.open(folder)
        assert (opened.source["path"], opened.source["version"]) == (str(exported), 12)
        np.testing.assert_array_equal(opened.scores, Predictions.open(rankers["good"]).scores)


def test_the_highest_version_is_the_one_that_serves(exported, rankers):
    other = exported.parent / "9" / "assets.extra"
    other.mkdir(parents=True)
    (other / "manifest.json").write_text("{}")
    assert Predictions.open(exported.parent).source["version"] == 12


def test_a_version_whose_ranker_is_gone_or_changed_is_refused(exported, rankers):
    manifest = rankers["good"] / "manifest.json"
    text = manifest.read_text()
    rewrite(manifest, json.loads(text) | {"arm": "changed"})
    with pytest.raises(UserError, match="now contains another ranker"):
        Predictions.open(exported)
    manifest.unlink()
    with pytest.raises(UserError, match="no longer exists, and a version contains no predictions"):
        Predictions.open(exported)


@pytest.mark.parametrize(("damage", "message"), [
    ("split", r"has no predictions of split 'validation', it has \['test'\]"), ("text", "expected .* CRC-32C"),
    ("folder", "ranker folder .* does not exist"), ("kind", "contains 'dataset', expected 'ranker'")])
def test_folders_without_a_ranker_are_refused_in_one_line(rankers, damage, message):
    folder, split = rankers["good"], "test"
    if damage == "split":
        split = "validation"
    elif damage == "text":
        (folder / "predictions" / "test.parquet").write_text("x")
    elif damage == "folder":
        folder = folder / "absent"
    else:
        (folder / "manifest.json").write_text('{"kind": "dataset"}')
    with pytest.raises(UserError, match=message) as refused:
        Predictions.open(folder, split)
    assert "\n" not in str(refused.value)


def test_users_are_numbered_in_order_of_first_appearance(tmp_path):
    columns, logits = impressions(rows=4)
    opened = Predictions.open(write_ranker(tmp_path / "r", columns | {"user_id": ["b", "a", "b", "c"]}, logits))
    assert opened.users.tolist() == [0, 1, 0, 2]


def test_impressions_are_selected_by_position_in_the_given_order(rankers):
    opened = Predictions.open(rankers["good"])
    taken = opened.take(np.array([7, 3]))
    assert taken.keys.tolist() == opened.keys[[7, 3]].tolist()
    assert taken.source == opened.source


def test_item_and_row_columns_are_not_read(rankers):
    names = Predictions.open(rankers["good"]).table.column_names
    assert not {"item_id", "user", "item"} & set(names)
    assert {"key", "user_id", "label", "score", "request", "user_count", "item_count", "feature.place"} == set(names)


@pytest.mark.parametrize("is_encoded", [False, True])
@pytest.mark.parametrize("ids", [["b", "ü", "b", "a", "a", "c", "ü"], [7, 3, 7, -1, -1, 2**60, 3]])
def test_users_are_numbered_by_first_appearance_across_chunks(ids, is_encoded):
    chunks = [pa.array(ids).slice(start, end - start) for start, end in ((0, 2), (2, 2), (2, 5), (5, 7))]
    column = pa.chunked_array([chunk.dictionary_encode() if is_encoded else chunk for chunk in chunks],
                              pa.dictionary(pa.int32(), chunks[0].type) if is_encoded else chunks[0].type)
    assert user_numbers(column).tolist() == [0, 1, 0, 2, 2, 3, 1]
    assert user_numbers(column.take(pa.array([3, 0, 6, 4]))).tolist() == [0, 1, 2, 0]
    assert user_numbers(column).dtype == np.int32
