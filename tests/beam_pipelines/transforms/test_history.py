"""Histories against a naive twin; labels, downsampling and columnar blocks of impressions."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from beam_pipelines.transforms.history import (
    ENGAGED,
    RAW,
    Histories,
    _add_histories,
    _add_raw_histories,
    _select_users,
)
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset, impression_columns
from tfrs_pretrain.data.impressions import checked_reading, training_batches
from tfrs_pretrain.errors import UserError

KINDS = {"int64": tf.int64, "float32": tf.float32, "string": tf.string}
LENGTH = 4


def _naive(engagements, user, time, length):
    """Rows of the last engagements strictly before a time, with a loop."""
    before = sorted((when, row) for who, when, row in engagements if who == user and when < time)
    return [row for _, row in before][-length:]


EVENT = st.tuples(st.sampled_from(["a", "b", "é"]), st.integers(-3, 4), st.integers(0, 9))


@settings(deadline=None, max_examples=150)
@given(st.lists(EVENT, min_size=1, max_size=25), st.lists(st.tuples(st.sampled_from(["a", "b", "é", "new"]),
                                                                    st.integers(-4, 5)), min_size=1, max_size=10),
       st.integers(1, 5))
def test_a_history_has_the_engagements_strictly_before(engagements, impressions, length):
    """There are few distinct times, so most are ties."""
    users, times, rows = (list(column) for column in zip(*engagements, strict=True))
    histories = Histories(pa.table({"user_id": users, "@time": pa.array(times, pa.int64()),
                                    "row": pa.array(rows, pa.int32())}), length)
    result = histories.before(pa.array([user for user, _ in impressions]), np.array([time for _, time in impressions]))
    assert result.to_pylist() == [_naive(engagements, user, time, length) for user, time in impressions]


@settings(deadline=None, max_examples=60)
@given(st.lists(EVENT, min_size=1, max_size=25), st.integers(-4, 5), st.lists(EVENT, max_size=10))
def test_the_future_never_changes_a_history(engagements, time, later):
    def history(events):
        users, times, rows = (list(column) for column in zip(*events, strict=True))
        table = pa.table({"user_id": users, "@time": pa.array(times, pa.int64()), "row": pa.array(rows, pa.int32())})
        return Histories(table, 3).before(pa.array(["a", "b"]), np.array([time, time])).to_pylist()

    future = [(user, max(when, time), row) for user, when, row in later]
    assert history(engagements + future) == history(engagements)


class _Reread:
    """Values of a key as a runner provides them: each pass reads them again."""

    def __init__(self, batches: int):
        self.batches = batches

    def __iter__(self):
        for number in range(self.batches):
            yield "train", pa.RecordBatch.from_pydict({"user_id": ["hot"] * 3, "@time": [number] * 3})
            yield ENGAGED, pa.RecordBatch.from_pydict({"user_id": ["hot"], "@time": [number],
                                                       "row": pa.array([number], pa.int32())})


def test_impressions_of_a_frequent_user_are_processed_batch_by_batch():
    parts = _add_histories((0, _Reread(50)), 2)
    first, second = next(parts), next(parts)
    assert (first[1]["history"].to_pylist(), second[1]["history"].to_pylist()) == ([[]] * 3, [[0]] * 3)
    assert [batch["history"].to_pylist()[0] for _, batch in parts] == [[n - 2, n - 1] for n in range(2, 50)]


@pytest.fixture(scope="module")
def rich(planted_logs, tmp_path_factory) -> tuple[Path, dict]:
    """Logs with a second label, and engagements at the time of an impression; and their configuration."""
    folder = tmp_path_factory.mktemp("rich")
    for name in ("items", "users", "engagements", "impressions"):
        (folder / f"{name}.parquet").write_bytes((planted_logs / f"{name}.parquet").read_bytes())
    impressions = pq.read_table(folder / "impressions.parquet")
    liked = np.random.default_rng(1).random(impressions.num_rows) < 0.3
    pq.write_table(impressions.append_column("liked", pa.array(liked)), folder / "impressions.parquet")
    engagements = pq.read_table(folder / "engagements.parquet")
    same_time = impressions.select(engagements.column_names).cast(engagements.schema)
    pq.write_table(pa.concat_tables([engagements, same_time]), folder / "engagements.parquet")
    tree = planted_tree()
    tree["schema"] |= {"labels": ["liked"], "history": {"length": LENGTH}}
    return folder, tree


@pytest.fixture(scope="module")
def rich_dataset(rich) -> Dataset:
    folder, tree = rich
    build(Config.model_validate(tree), folder, folder / "out", ["--buckets=5"])
    return Dataset.open(folder / "out")


def _records(dataset: Dataset, split: str) -> pd.DataFrame:
    spec = {name: tf.io.FixedLenFeature([], KINDS[dtype]) for name, dtype in impression_columns(dataset.schema).items()}
    records = list(tf.data.TFRecordDataset(dataset.files(split)).as_numpy_iterator())
    parsed = tf.io.parse_example(records, spec | {"history": tf.io.RaggedFeature(tf.int64)})
    history = parsed.pop("history").to_list()
    return pd.DataFrame({name: value.numpy() for name, value in parsed.items()}).assign(history=history)


def test_every_impression_has_its_history_and_labels(rich, rich_dataset):
    folder, _ = rich
    engagements, impressions = (pd.read_parquet(folder / f"{name}.parquet") for name in ("engagements", "impressions"))
    rows = rich_dataset.vocabulary("item").lookup(pa.array(engagements.item.tolist(), pa.string()))
    by_user: dict = {}
    for user, time, row in zip(engagements.member, engagements.ts, rows.tolist(), strict=True):
        by_user.setdefault(user, []).append((user, time, row))
    for split, (start, end) in {"train": (20, 28), "validation": (28, 30), "test": (30, 34)}.items():
        window = impressions[(impressions.day >= start) & (impressions.day < end)]
        expected = Counter((row.member, row.item, float(row.clicked), float(row.liked),
                            tuple(_naive(by_user[row.member], row.member, row.ts, LENGTH)))
                           for row in window.itertuples())
        frame = _records(rich_dataset, f"impressions/{split}")
        result = Counter((row.user_id, row.item_id.decode(), row.label, row.liked, tuple(row.history))
                       for row in frame.itertuples())
        assert result == expected
        info = rich_dataset.info["splits"][f"impressions/{split}"]
        assert info["liked_rate"] == frame.liked.mean()
        assert info["history_length"] == frame.history.map(len).mean() > LENGTH - 1
    count = rich_dataset.info["counts"]["history"]
    assert count["read"] == count["written"] == len(engagements)


def test_training_reads_the_dataset(rich_dataset):
    with checked_reading(rich_dataset, *IMPRESSION_SPLITS):
        [batch] = training_batches(rich_dataset, batch_size=64, seed=0, epoch=0).take(1)
    assert batch["liked"].shape == (64,)


def test_columnar_blocks_have_the_same_rows(rich, rich_dataset):
    folder, tree = rich
    tree = tree | {"dataset": tree["dataset"] | {"impressions_format": "columnar", "impressions_per_block": 100}}
    build(Config.model_validate(tree), folder, folder / "columnar")
    dataset = Dataset.open(folder / "columnar")
    assert dataset.info["impressions_format"] == "columnar"
    types = impression_columns(dataset.schema)
    names = [*types, "history", "history.lengths", "item_id.lengths"]
    decoded = []
    for record in tf.data.TFRecordDataset(dataset.files("impressions/test")):
        block = tf.io.parse_single_example(record, {name: tf.io.FixedLenFeature([], tf.string) for name in names})
        block = {name: value.numpy() for name, value in block.items()}
        lengths = {name: np.frombuffer(block.pop(f"{name}.lengths"), "<i4") for name in ("history", "item_id")}
        starts = np.cumsum(lengths["item_id"]) - lengths["item_id"]
        columns = {name: np.frombuffer(value, {"int64": "<i8", "float32": "<f4"}[types.get(name, "int64")])
                   for name, value in block.items() if name != "item_id"}
        columns["item_id"] = [block["item_id"][start:start + length]
                              for start, length in zip(starts, lengths["item_id"], strict=True)]
        ends = np.cumsum(lengths["history"])
        columns["history"] = [part.tolist() for part in np.split(columns["history"], ends[:-1])]
        decoded.append(pd.DataFrame(columns))
        assert len(decoded[-1]) <= 100
    expected = _records(rich_dataset, "impressions/test")
    pd.testing.assert_frame_equal(pd.concat(decoded, ignore_index=True)[expected.columns], expected)
    words = "expected column 'key' to contain 1 value of int64, found 1 of string"
    with pytest.raises(UserError, match=words), checked_reading(dataset, "impressions/train"):
        pass


def test_downsampling_keeps_positives_and_records_its_rate(tiny_dataset, planted_config, planted_logs, tmp_path):
    tree = planted_tree()
    tree["dataset"]["negative_sampling"] = {"rate": 0.25}
    info = build(Config.model_validate(tree), planted_logs, tmp_path / "out", ["--read_batch_rows=777"])
    before, after = (dataset.info["splits"]["impressions/train"] for dataset in (
        tiny_dataset, Dataset.open(tmp_path / "out")))
    positives = round(before["label_rate"] * before["examples"])
    negatives = before["examples"] - positives
    assert round(after["label_rate"] * after["examples"]) == positives
    kept = after["examples"] - positives
    # Five standard deviations of a binomial share.
    assert abs(kept / negatives - 0.25) < 5 * (0.25 * 0.75 / negatives) ** 0.5
    assert after["negative_rate"] == 0.25
    assert info["counts"]["impressions"]["filtered_by"]["negative down-sampling"] == negatives - kept
    # The formula in the configuration's docstring recovers the original label rate.
    sampled = after["label_rate"]
    assert sampled / (sampled + (1 - sampled) / 0.25) == pytest.approx(before["label_rate"], rel=0.1)
    for split in ("impressions/validation", "impressions/test"):
        assert "negative_rate" not in info["splits"][split]
        assert info["splits"][split]["examples"] == tiny_dataset.info["splits"][split]["examples"]


def test_times_of_both_logs_must_have_one_type(rich, tmp_path):
    folder, tree = rich
    for name in ("items", "users", "impressions"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    table = pq.read_table(folder / "engagements.parquet")
    pq.write_table(table.set_column(table.schema.get_field_index("ts"), "ts", table["ts"].cast(pa.int64())),
                   tmp_path / "engagements.parquet")
    with pytest.raises(UserError, match=r"\['integer'\] in engagements, \['timestamp'\] in impressions"):
        build(Config.model_validate(tree), tmp_path, tmp_path / "out")


@pytest.mark.parametrize(("schema", "message"), [
    ({"labels": ["label"]}, r"repeated: \['label'\]"), ({"labels": ["a", "a"]}, r"repeated: \['a'\]"),
    ({"history": {"length": 0}}, "greater than or equal to 1"),
    ({"history": {"length": 3}, "labels": ["history"]}, r"repeated: \['history'\]")])
def test_invalid_schemas_are_refused(schema, message):
    tree = planted_tree()
    tree["schema"] |= schema
    with pytest.raises(ValueError, match=message):
        Config.model_validate(tree)


def test_histories_are_empty_in_a_bucket_without_engagements():
    shown = pa.RecordBatch.from_pydict({"user_id": [1], "@time": [5], "x": [1]})
    out = list(_add_histories((3, [("test", shown)]), 2))
    assert [(split, batch.to_pydict()) for split, batch in out] == [
        ("test", {"user_id": [1], "x": [1], "history": [[]]})]


def test_raw_histories_have_the_ids_of_the_same_engagements():
    table = pa.table({"user_id": [1, 2, 3], "@time": [5, 5, 5]})
    engagements = pa.RecordBatch.from_pydict({"user_id": [2, 1, 2, 4], "@time": [1, 5, 3, 1],
                                              "item_id": ["a", "b", "c", "d"]})
    [(split, selected)] = _select_users(("all", engagements), [table])
    assert (split, selected["item_id"].to_pylist()) == (RAW, ["a", "b", "c"])
    events = selected.append_column("row", pa.array([7, 8, 9], pa.int32()))
    histories = _add_raw_histories(table, [(ENGAGED, events)], 5, "string")["history"]
    assert (histories.type, histories.to_pylist()) == (pa.list_(pa.string()), [[], ["a", "c"], []])
    empty = _add_raw_histories(table, [], 5, "string")["history"]
    assert (empty.type, empty.to_pylist()) == (pa.list_(pa.string()), [[], [], []])
