"""The dataset of the planted logs, against a naive twin in plain Python and pandas."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfrs_pretrain.artifact_names import CANDIDATE_PROBABILITY, GOLDEN_IMPRESSIONS
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, PAIR_SPLITS, impression_columns

WINDOWS = {"pretrain": (0, 20), "train": (20, 28), "validation": (28, 30), "test": (30, 34)}


@pytest.fixture(scope="module")
def tables(planted_logs) -> dict[str, pd.DataFrame]:
    return {name: pd.read_parquet(planted_logs / f"{name}.parquet")
            for name in ("engagements", "impressions", "items", "users")}


def _window(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    start, end = WINDOWS[name]
    return frame[(frame.day >= start) & (frame.day < end)]


@pytest.fixture(scope="module")
def impressions(tiny_dataset) -> dict[str, pd.DataFrame]:
    kinds = {"int64": tf.int64, "float32": tf.float32, "string": tf.string}
    spec = {name: tf.io.FixedLenFeature([], kinds[dtype])
            for name, dtype in impression_columns(tiny_dataset.schema).items()}
    frames = {}
    for split in IMPRESSION_SPLITS:
        records = list(tf.data.TFRecordDataset(tiny_dataset.files(split)).as_numpy_iterator())
        frame = pd.DataFrame({name: value.numpy() for name, value in tf.io.parse_example(records, spec).items()})
        frames[split] = frame.assign(item_id=frame.item_id.str.decode("utf-8"))
    return frames


def _pairs(dataset, split: str) -> list[tuple[int, int]]:
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in ("query", "candidate")}
    pairs = []
    for record in tf.data.TFRecordDataset(dataset.files(split)):
        block = tf.io.parse_single_example(record, spec)
        query, candidate = (np.frombuffer(block[name].numpy(), "<i4").tolist() for name in ("query", "candidate"))
        pairs.extend(zip(query, candidate, strict=True))
    return pairs


def _rows(counts: Counter, oov_rows: int) -> dict:
    """Value -> row, by (-count, value)."""
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    return {value: oov_rows + place for place, value in enumerate(ordered)}


def _known(tiny_dataset, tables) -> tuple[dict, dict]:
    pretrain = _window(tables["engagements"], "pretrain")
    return _rows(Counter(pretrain.member.tolist()), 2), _rows(Counter(pretrain.item), 8)


def test_id_vocabularies_count_the_pretraining_window(tiny_dataset, tables):
    pretrain = _window(tables["engagements"], "pretrain")
    for name, column in (("user", "member"), ("item", "item")):
        counts = Counter(pretrain[column].tolist())
        ordered = sorted(counts, key=lambda value: (-counts[value], value))
        vocabulary = tiny_dataset.vocabulary(name)
        assert vocabulary.ids.to_pylist() == ordered
        assert vocabulary.counts.tolist() == [counts[value] for value in ordered]


def test_feature_vocabularies_count_joined_training_impressions(tiny_dataset, tables):
    train = _window(tables["impressions"], "train").merge(tables["items"], how="left").merge(
        tables["users"], how="left")
    for name, column in (("surface", "surface"), ("topic", "topic_id"), ("country", "country")):
        counts = Counter(train[column].fillna("").tolist() if column != "topic_id" else train[column].tolist())
        vocabulary = tiny_dataset.vocabulary(name)
        assert dict(zip(vocabulary.ids.to_pylist(), vocabulary.counts.tolist(), strict=True)) == counts


def test_pairs_are_the_pretraining_engagements(tiny_dataset, tables):
    users, items = _known(tiny_dataset, tables)
    expected = Counter((users[row.member], items[row.item])
                       for row in _window(tables["engagements"], "pretrain").itertuples())
    train, heldout = (Counter(_pairs(tiny_dataset, split)) for split in PAIR_SPLITS)
    assert train + heldout == expected
    assert set(train) & set(heldout)  # single engagements are held out, so repeats of a pair may be on both sides
    share = heldout.total() / expected.total()
    # 0.05 of at least 8,000 engagements: five standard deviations are below 0.013.
    assert 0.035 < share < 0.065
    assert [tiny_dataset.num_examples(split) for split in PAIR_SPLITS] == [train.total(), heldout.total()]


def test_blocks_have_the_configured_number_of_pairs(tiny_dataset):
    for shard in tiny_dataset.info["splits"]["pairs/train"]["shards"]:
        assert shard["records"] == -(-shard["examples"] // 256)


def test_candidate_probability_is_the_share_of_training_pairs(tiny_dataset):
    counts = Counter(candidate for _, candidate in _pairs(tiny_dataset, "pairs/train"))
    expected = np.zeros(tiny_dataset.num_rows("item"))
    for row, count in counts.items():
        expected[row] = count / counts.total()
    written = np.load(tiny_dataset.folder / CANDIDATE_PROBABILITY)
    assert written.dtype == np.float64
    np.testing.assert_array_equal(written, expected)


def test_impressions_of_each_window_are_joined_and_mapped(tiny_dataset, tables, impressions):
    """Compares all columns of every row; ids outside the vocabulary only need one of the shared rows."""
    users, items = _known(tiny_dataset, tables)
    codes = {name: {value: row for row, value in enumerate(tiny_dataset.vocabulary(name).ids.to_pylist(), start=1)}
             for name in ("surface", "topic", "country")}
    for split in IMPRESSION_SPLITS:
        logged = _window(tables["impressions"], split.removeprefix("impressions/")).merge(
            tables["items"], how="left").merge(tables["users"], how="left")
        expected = Counter(
            (row.member, row.item, users[row.member], items.get(row.item, -1), float(row.clicked),
             codes["surface"][row.surface], np.float32(row.dwell).tobytes(), codes["topic"][row.topic_id],
             None if np.isnan(row.quality) else np.float32(row.quality),
             codes["country"]["" if pd.isna(row.country) else row.country]) for row in logged.itertuples())
        written = Counter(
            (row.user_id, row.item_id, row.user, -1 if row.item < 8 else row.item, row.label, row.surface,
             np.float32(row.dwell).tobytes(), row.topic, None if np.isnan(row.quality) else np.float32(row.quality),
             row.country) for row in impressions[split].itertuples())
        assert written == expected


def test_keys_are_unique_over_all_splits(impressions):
    keys = pd.concat([frame.key for frame in impressions.values()])
    assert keys.is_unique


def test_numeric_statistics_are_those_of_the_training_window(tiny_dataset, tables):
    train = _window(tables["impressions"], "train").merge(tables["items"], how="left")
    for name in ("dwell", "quality"):
        values = train[name].to_numpy(np.float64)
        moments = tiny_dataset.moments[name]
        np.testing.assert_allclose([moments["mean"], moments["std"]], [np.nanmean(values), np.nanstd(values)],
                                   rtol=1e-12)


def test_golden_impressions_have_the_raw_values_of_the_records_with_their_keys(tiny_dataset, impressions):
    golden = pq.read_table(tiny_dataset.folder / GOLDEN_IMPRESSIONS)
    assert golden.num_rows == 32
    assert all(column.null_count == 0 for column in golden.columns)
    records = impressions["impressions/validation"].set_index("key")
    for row in golden.to_pylist():
        record = records.loc[row["key"]]
        assert (record.user_id, record.item_id) == (row["user_id"], row["item_id"])
        assert np.float32(record.dwell) == np.float32(row["dwell"])
        np.testing.assert_array_equal(record.quality, np.float32(row["quality"]))
        for name in ("surface", "topic", "country"):
            assert tiny_dataset.vocabulary(name).ids[int(record[name]) - 1].as_py() == row[name]


def test_info_counts_every_row(tiny_dataset, tables, impressions):
    counts = tiny_dataset.info["counts"]
    for name in ("engagements", "impressions"):
        count = counts[name]
        assert count["read"] == len(tables[name])
        assert count["read"] == count["written"] + sum(count["rejected"].values()) + count["filtered"]
    test = tiny_dataset.info["splits"]["impressions/test"]
    frame = impressions["impressions/test"]
    assert test["examples"] == len(frame)
    assert test["label_rate"] == frame.label.mean()
    assert test["oov_item_share"] == (frame.item < 8).mean() > 0
    assert test["oov_user_share"] == 0
