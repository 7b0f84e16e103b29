"""Columns of several rows: histories and multi-valued features."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.data import impressions
from tfrs_pretrain.data.dataset import Dataset, list_columns
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import VocabularyRules
from tfrs_pretrain.schema import Schema

SCHEMA = {
    "user": {"column": "u"}, "item": {"column": "i"}, "time": "ts", "window": "day", "label": "clicked",
    "history": {"length": 4},
    "features": [{"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": 3}],
}
PADDED = {"tags": [[7, 8, -1], [-1, -1, -1], [1, 2, 3]], "history": [[5, -1, -1, -1], [6, 7, 8, 9], [-1] * 4]}


def record(key, columns):
    values = {"key": [key], "user_id": [key], "item_id": [key], "user": [1], "item": [2]} | columns
    features = {name: tf.train.Feature(int64_list={"value": column}) for name, column in values.items()}
    features["label"] = tf.train.Feature(float_list={"value": [1.0]})
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture
def write(tmp_path):
    def written(lists):
        """A dataset whose only records have these lists, one dictionary a record."""
        path = tmp_path / "impressions.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for key, columns in enumerate(lists):
                writer.write(record(key, columns))
        split = {"shards": [{"path": path.name}], "examples": len(lists)}
        return Dataset(tmp_path, {"config": {"schema": SCHEMA}, "splits": {"impressions/train": split}})
    return written


LISTS = [{name: [row for row in rows[i] if row >= 0] for name, rows in PADDED.items()} for i in range(3)]


def test_the_schema_names_columns_and_lengths():
    schema = Schema.model_validate(SCHEMA)
    assert list_columns(schema) == {"tags": 3, "history": 4}
    assert schema.vocabularies["tags"] == VocabularyRules("string", oov_rows=1, min_count=1, max_size=None)


def test_lists_are_padded_at_the_end_to_their_length(write):
    dataset = write(LISTS)
    with impressions.checked_reading(dataset, "impressions/train"):
        [batch] = impressions.evaluation_batches(dataset, "impressions/train", batch_size=3).as_numpy_iterator()
        [shuffled] = impressions.training_batches(dataset, batch_size=3, seed=0, epoch=0)
    for name, expected in PADDED.items():
        np.testing.assert_array_equal(batch[name], expected)
        assert sorted(shuffled[name].numpy().tolist()) == sorted(expected)
        assert shuffled[name].shape == (3, len(expected[0]))


def test_training_shapes_are_static_for_xla(write):
    spec = impressions.training_batches(write(LISTS), batch_size=3, seed=0, epoch=0).element_spec
    assert {name: spec[name].shape.as_list() for name in ("tags", "history", "user")} == {
        "tags": [3, 3], "history": [3, 4], "user": [3]}


@pytest.mark.parametrize(("tags", "message"), [
    (None, r"expected column 'tags' \(int64\), found none among \['history', 'item'"),
    ([1, 2, 3, 4], "expected column 'tags' to contain at most 3 values of int64, found 4 of int64")])
def test_a_wrong_list_is_named(write, tags, message):
    columns = {name: rows for name, rows in LISTS[0].items() if name != "tags"} | ({"tags": tags} if tags else {})
    with pytest.raises(UserError, match=message), impressions.checked_reading(write([columns]), "impressions/train"):
        pass


@pytest.mark.parametrize("changes", [{"max_values": None}, {"dtype": "float32"}, {"kind": "categorical"},
                                     {"kind": "categorical", "max_values": None, "separator": ","},
                                     {"log1p": True}, {"kind": "numeric"}, {"kind": "tensor"}, {"kind": None}])
def test_a_feature_of_mixed_kinds_is_refused(changes):
    feature = SCHEMA["features"][0] | changes
    with pytest.raises(ValueError, match=r"features\.0(\.(max_values|dtype|separator|log1p)|\n.* known kind)"):
        Schema.model_validate(SCHEMA | {"features": [feature]})
