from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.data import impressions
from tfrs_pretrain.data.dataset import Dataset, shard_path
from tfrs_pretrain.errors import UserError

SCHEMA = {
    "user": {"column": "u", "dtype": "int64"}, "item": {"column": "i", "dtype": "string"},
    "time": "ts", "window": "day", "label": "clicked",
    "features": [{"name": "place", "source": "impressions", "kind": "categorical", "dtype": "string"},
                 {"name": "price", "source": "items", "kind": "numeric", "dtype": "float32"}],
}
COUNTS = {"train": (700, 301), "validation": (5, 0), "test": (4, 3)}


def example(key, **changes):
    """One record whose every column follows from its key."""
    columns = {"key": key, "user_id": key * 10, "item_id": f"ítem-{key}".encode(), "user": key % 7, "item": key % 11,
               "label": float(key % 2), "place": key % 3, "price": float("nan") if key % 5 == 0 else key / 2} | changes
    features = {}
    for name, value in columns.items():
        field = {int: "int64_list", float: "float_list", bytes: "bytes_list"}.get(type(value))
        if field:
            features[name] = tf.train.Feature(**{field: {"value": [value]}})
        elif value is not None:
            features[name] = tf.train.Feature(int64_list={"value": value})
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "impressions").mkdir()
    splits, key = {}, 0
    for split, counts in COUNTS.items():
        name, shards = f"impressions/{split}", []
        for shard, count in enumerate(counts):
            path = shard_path(name, shard, len(counts))
            with tf.io.TFRecordWriter(str(tmp_path / path)) as writer:
                for _ in range(count):
                    writer.write(example(key))
                    key += 1
            shards.append({"path": path})
        splits[name] = {"shards": shards, "examples": sum(counts)}
    return Dataset(tmp_path, {"config": {"schema": SCHEMA}, "splits": splits})


def rewrite(dataset, records):
    path = dataset.files("impressions/test")[1]
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    return path


def train(dataset, **options):
    return list(impressions.training_batches(dataset, **{"batch_size": 64, "seed": 5, "epoch": 0} | options)
                .as_numpy_iterator())


# user, item, label, place and price together tell the key apart: price is key / 2 except at multiples of 5.
def prices(batches):
    return np.concatenate([batch["price"] for batch in batches])


def test_training_has_every_impression_once_but_the_incomplete_batch(dataset):
    batches = train(dataset)
    assert len(batches) == 1001 // 64
    assert {name: values.shape for name, values in batches[0].items()} == dict.fromkeys(
        ("user", "item", "label", "place", "price"), (64,))
    seen = prices(batches)
    assert len(set(seen[~np.isnan(seen)])) == np.count_nonzero(~np.isnan(seen))
    keys = seen * 2
    for name, modulus in (("user", 7), ("item", 11), ("label", 2), ("place", 3)):  # columns stay together
        values = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(values[~np.isnan(keys)], keys[~np.isnan(keys)] % modulus)


@pytest.mark.parametrize("window", [100, 2**18])
def test_order_follows_from_seed_and_epoch_and_mixes_files(dataset, window):
    first = prices(train(dataset, window=window))
    np.testing.assert_array_equal(first, prices(train(dataset, window=window)))
    for other in ({"epoch": 1}, {"seed": 6}):
        assert np.mean(first == prices(train(dataset, window=window, **other))) < 0.1
    if window > 1001:
        late = first[:320] * 2 >= 700  # the second file holds 301 of 1,001
        assert 0.15 < np.mean(late) < 0.45
        assert abs(np.corrcoef(np.arange(960)[~np.isnan(first)], first[~np.isnan(first)])[0, 1]) < 0.15


@pytest.mark.parametrize("start", [0, 1, 4, 5, 9, 15])
def test_batches_can_start_anywhere(dataset, start):
    whole = train(dataset, window=300)
    rest = train(dataset, window=300, start=start)
    assert len(rest) == len(whole) - start
    np.testing.assert_array_equal(prices(rest) if rest else [], prices(whole[start:]) if rest else [])


def test_windows_are_permuted_differently(dataset):
    seen = np.nan_to_num(prices(train(dataset, window=64, batch_size=64)), nan=-1.0)
    ranks = [tuple(np.argsort(block)) for block in seen[:640].reshape(10, 64)]
    assert len(set(ranks)) == 10


def test_evaluation_keeps_every_row_and_column_in_file_order(dataset):
    batches = list(impressions.evaluation_batches(dataset, "impressions/test", batch_size=4).as_numpy_iterator())
    assert [len(batch["key"]) for batch in batches] == [4, 3]
    keys = np.concatenate([batch["key"] for batch in batches])
    np.testing.assert_array_equal(keys, np.arange(1006, 1013))
    np.testing.assert_array_equal(np.concatenate([batch["user_id"] for batch in batches]), keys * 10)
    assert [value.decode() for batch in batches for value in batch["item_id"]] == [f"ítem-{key}" for key in keys]
    assert batches[0]["price"].dtype == np.float32
    np.testing.assert_array_equal(np.isnan(np.concatenate([batch["price"] for batch in batches])), keys % 5 == 0)


@pytest.mark.parametrize(("changes", "message"), [
    ({"place": None}, r"expected column 'place' \(int64\), found none among \['item'"),
    ({"price": 3}, "expected column 'price' to contain 1 value of float32, found 1 of int64"),
    ({"item_id": 3}, "expected column 'item_id' to contain 1 value of string, found 1 of int64"),
    ({"user": [1, 2]}, "expected column 'user' to contain 1 value of int64, found 2 of int64"),
])
def test_a_wrong_record_is_named_whether_first_or_later(dataset, changes, message):
    for records, number in (([example(1, **changes)], 0), ([example(1), example(2, **changes)], 1)):
        path = rewrite(dataset, records)
        with pytest.raises(UserError, match=message) as error, impressions.checked_reading(dataset, "impressions/test"):
            list(impressions.evaluation_batches(dataset, "impressions/test", batch_size=4))
        assert f"{path!r}, record {number}, which starts at byte " in str(error.value)
        assert "\n" not in str(error.value)


def test_a_record_that_is_no_example_is_named(dataset):
    rewrite(dataset, [b"\xff\xff"])
    with pytest.raises(UserError, match="found 2 bytes of something else"), \
            impressions.checked_reading(dataset, "impressions/test"):
        pass


def test_a_corrupt_file_is_named(dataset):
    path = rewrite(dataset, [example(1), example(2)])
    with Path(path).open("r+b") as file:
        file.seek(-20, 2)
        file.write(b"\x00\x01\x02")
    message = f"cannot be read at record 1, which starts at byte {len(example(1)) + 16} "
    with pytest.raises(UserError, match=message) as error, impressions.checked_reading(dataset, "impressions/test"):
        list(impressions.evaluation_batches(dataset, "impressions/test", batch_size=4))
    assert path in str(error.value)


def test_a_file_that_disappears_while_it_is_read_is_named(dataset):
    path = dataset.files("impressions/test")[-1]
    with (pytest.raises(UserError, match=r"^impressions '.*' is missing, but was there") as error,
          impressions.checked_reading(dataset, "impressions/test")):
        Path(path).unlink()
        list(impressions.evaluation_batches(dataset, "impressions/test", batch_size=4))
    assert repr(path) in str(error.value)


def test_other_errors_pass_through(dataset):
    with (pytest.raises(tf.errors.InvalidArgumentError, match="mine"),
          impressions.checked_reading(dataset, "impressions/test")):
        raise tf.errors.InvalidArgumentError(None, None, "mine")
