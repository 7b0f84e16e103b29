"""Pairs with relations and weights, and compressed files: every column stays with its pair."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.data.pairs import pair_blocks, shuffled_batches, training_columns
from tfrs_pretrain.schema import Schema

SCHEMA = {"user": {"column": "u"}, "item": {"column": "i"}, "time": "ts", "window": "day", "label": "clicked"}
PAIRS = 400


def block(query):
    columns = {"query": np.asarray(query, "<i4"), "candidate": np.asarray(query + 1000, "<i4"),
               "relation": np.asarray(query % 3, "<i4"), "weight": np.asarray(query / 4, "<f4")}
    return tf.train.Example(features=tf.train.Features(feature={
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[values.tobytes()]))
        for name, values in columns.items()})).SerializeToString()


@pytest.fixture(params=["", "GZIP"])
def files(tmp_path, request):
    paths = []
    for shard, part in enumerate(np.array_split(np.arange(PAIRS), 3)):
        paths.append(str(tmp_path / f"train-{shard}.tfrecord{'.gz' if request.param else ''}"))
        with tf.io.TFRecordWriter(paths[-1], request.param) as writer:
            for piece in np.array_split(part, 4):
                writer.write(block(piece))
    return paths


def test_a_training_step_reads_rows_and_weights():
    assert training_columns(Schema.model_validate(SCHEMA)) == {"query": "int32", "candidate": "int32"}
    assert training_columns(Schema.model_validate(SCHEMA | {"relation": "action"})) == {
        "query": "int32", "candidate": "int32", "weight": "float32"}


def test_columns_stay_together_through_the_shuffle(files):
    columns = {"query": "int32", "candidate": "int32", "relation": "int32", "weight": "float32"}
    batches = list(shuffled_batches(files, 50, seed=3, epoch=1, columns=columns, window=90).as_numpy_iterator())
    assert {name: (values.shape, values.dtype.name) for name, values in batches[0].items()} == {
        name: ((50,), dtype) for name, dtype in columns.items()}
    query = np.concatenate([batch["query"] for batch in batches])
    assert sorted(query) == list(range(PAIRS))
    for name, expected in (("candidate", query + 1000), ("relation", query % 3), ("weight", query / 4)):
        np.testing.assert_array_equal(np.concatenate([batch[name] for batch in batches]), expected)


def test_further_columns_do_not_change_the_order(files):
    plain, weighted = (shuffled_batches(files, 50, seed=3, epoch=1, **columns) for columns in (
        {}, {"columns": {"query": "int32", "weight": "float32"}}))
    for one, other in zip(plain.as_numpy_iterator(), weighted.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(one["query"], other["query"])


def test_blocks_are_read_in_the_order_of_the_files(files):
    blocks = list(pair_blocks(files, {"query": "int32"}).as_numpy_iterator())
    assert len(blocks) == 12
    np.testing.assert_array_equal(np.concatenate([one["query"] for one in blocks]), np.arange(PAIRS))
    assert list(pair_blocks([]).as_numpy_iterator()) == []
