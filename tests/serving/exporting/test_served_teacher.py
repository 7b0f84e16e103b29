"""An exported model as a teacher: raw values made from records give the trained model's logits."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfrs_pretrain.data.impressions import training_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.row_values import values_of_rows
from tfrs_pretrain.ranking.distillation.teachers import open_teacher
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.graph.signatures import save
from tfrs_pretrain.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def saved_model(ranker_folder, tiny_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    (folder / "assets").mkdir()
    save(ServedRanker(load_ranker(ranker_folder, tiny_dataset), tiny_dataset, folder / "assets"), folder / "model")
    return folder / "model"


def test_the_teacher_returns_the_trained_models_logits(saved_model, ranker_folder, tiny_dataset):
    teacher = open_teacher(saved_model, tiny_dataset, ("label",))
    assert set(teacher.columns) == {"user_id", "item_id", "surface", "topic", "quality", "country"}
    batch = next(iter(training_batches(tiny_dataset, batch_size=512, seed=1, epoch=0, identifying=teacher.columns)))
    assert int(np.min(batch["item"])) < tiny_dataset.vocabulary("item").oov_rows
    batch["country"] = tf.where(tf.range(512) % 5 == 0, tf.zeros([512], tf.int64), batch["country"])  # unknown too
    expected = load_ranker(ranker_folder, tiny_dataset).logits(batch)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(teacher.logits(batch), expected, atol=1e-4)


def test_inputs_and_outputs_that_are_missing_are_named(saved_model, tiny_dataset, tmp_path):
    with pytest.raises(UserError, match="has no output 'score_liked', only"):
        open_teacher(saved_model, tiny_dataset, ("label", "liked"))
    (tmp_path / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="is no SavedModel with signature 'serving_default'"):
        open_teacher(tmp_path, tiny_dataset, ("label",))


@pytest.mark.parametrize("ids", [pa.array([5, -2, 9]), pa.array(["a", "unseen 0", "日本"])])
def test_every_row_has_a_raw_value(ids):
    vocabulary = Vocabulary(ids, np.array([3, 2, 1]), 7)
    values = values_of_rows(vocabulary)
    np.testing.assert_array_equal(vocabulary.lookup(values), np.arange(10))
    assert values[7:].equals(ids)
