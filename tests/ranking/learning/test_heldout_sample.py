"""A fixed sample of impressions: its content, its losses, and the counts of its ids."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.data.dataset import Dataset, impression_columns
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.learning import heldout_sample
from tfrs_pretrain.ranking.learning.heldout_sample import HeldOutSample, training_counts


class Scores:
    """Stands for a ranker whose scores are a function of the price."""

    def score(self, batch):
        return tf.sigmoid(tf.where(tf.math.is_nan(batch["price"]), 0.0, batch["price"] - 3))[:, None]


def _write(path, columns, dtypes):
    """Writes one tf.Example for each impression."""
    kinds = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}
    with tf.io.TFRecordWriter(path) as writer:
        for row in range(len(columns["key"])):
            values = {name: columns[name][row].encode() if dtype == "string" else columns[name][row]
                      for name, dtype in dtypes.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature={
                name: tf.train.Feature(**{kinds[dtypes[name]]: {"value": [value]}})
                for name, value in values.items()})).SerializeToString())


def all_impressions(dataset, split, columns):
    batches = evaluation_batches(dataset, split, batch_size=100_000, columns=columns)
    return next(batches.as_numpy_iterator())


@pytest.mark.parametrize(("requested", "expected"), [(1, 100), (100, 100), (101, 200), (150, 200)])
def test_the_sample_is_the_first_whole_batches(planted, monkeypatch, requested, expected):
    monkeypatch.setattr(heldout_sample, "BATCH_SIZE", 100)
    sample = HeldOutSample(planted.dataset, "impressions/validation", requested)
    records = all_impressions(planted.dataset, "impressions/validation", ("label", "user", "item", "user_id"))
    np.testing.assert_array_equal(sample.labels, records["label"][:expected])
    for space in ("user", "item"):
        np.testing.assert_array_equal(sample.table_rows[space], records[space][:expected])
    ids = records["user_id"][:expected]
    assert len(set(zip(ids.tolist(), sample.users.tolist(), strict=True))) == len(set(ids.tolist()))
    assert sample.users[0] == 0
    assert sample.users.max() == len(set(ids.tolist())) - 1


def test_losses_and_auc_equal_those_of_scikit_learn(planted):
    sample = HeldOutSample(planted.dataset, "impressions/validation", 1)
    prices = all_impressions(planted.dataset, "impressions/validation", ("price",))["price"]
    scores = 1 / (1 + np.exp(-np.where(np.isnan(prices), 0, prices - 3).astype(np.float64)))
    losses, auc = sample.losses(Scores())
    assert losses.mean() == pytest.approx(log_loss(sample.labels, scores), rel=1e-5)
    assert auc == pytest.approx(roc_auc_score(sample.labels, scores.astype(np.float32)), abs=1e-6)


def test_impressions_without_a_label_are_left_out(drawn, with_split):
    columns = drawn(np.random.default_rng(3), 300)
    columns["label"][::2] = np.nan
    dataset = with_split("validation", **columns)
    sample = HeldOutSample(dataset, "impressions/validation", 1)
    np.testing.assert_array_equal(sample.labels, columns["label"][1::2])
    np.testing.assert_array_equal(sample.table_rows["item"], columns["item"][1::2])
    assert len(sample.users) == 150
    scores = Scores().score({"price": columns["price"][1::2]}).numpy()[:, 0]
    losses, auc = sample.losses(Scores())
    assert losses.mean() == pytest.approx(log_loss(sample.labels, scores.astype(np.float64)), rel=1e-5)
    assert auc == pytest.approx(roc_auc_score(sample.labels, scores), abs=1e-6)


def test_weighted_metrics_equal_those_of_scikit_learn(drawn, with_split, planted):
    columns = drawn(np.random.default_rng(3), 300)
    columns["label"][::7] = np.nan
    columns["weight"] = np.random.default_rng(4).exponential(1.0, 300).astype(np.float32)
    weighted = with_split("validation", **columns)
    weighted.info["config"]["schema"]["impression_weight"] = "minutes"
    path = weighted.files("impressions/validation")[0]
    _write(path, columns, impression_columns(weighted.schema))
    sample = HeldOutSample(weighted, "impressions/validation", 1)
    present = ~np.isnan(columns["label"])
    scores = Scores().score({"price": columns["price"][present]}).numpy()[:, 0].astype(np.float64)
    weights = columns["weight"][present]
    loss, auc = sample.weighted_metrics(Scores())
    assert loss == pytest.approx(log_loss(sample.labels, scores, sample_weight=weights), rel=1e-5)
    assert auc == pytest.approx(roc_auc_score(sample.labels, scores, sample_weight=weights), abs=1e-6)
    losses, plain = sample.losses(Scores())
    assert (losses.mean(), plain) != (loss, auc)
    unweighted = HeldOutSample(Dataset(weighted.folder, planted.dataset.info), "impressions/validation", 1)
    assert unweighted.weighted_metrics(Scores()) == (pytest.approx(losses.mean()), plain)


def test_a_sample_without_any_label_is_refused(drawn, with_split):
    columns = drawn(np.random.default_rng(3), 20) | {"label": np.full(20, np.nan, np.float32)}
    with pytest.raises(UserError, match=r"first 20 impressions of impressions/test .* have no label 'clicked'"):
        HeldOutSample(with_split("test", **columns), "impressions/test", 1)


def test_counts_are_those_of_the_training_impressions(planted):
    counts = training_counts(planted.dataset)
    records = all_impressions(planted.dataset, "impressions/train", ("user", "item"))
    for space, num_rows in (("user", 152), ("item", 253)):
        np.testing.assert_array_equal(counts[space], np.bincount(records[space], minlength=num_rows))
    sample = HeldOutSample(planted.dataset, "impressions/validation", 1)
    looked_up = sample.counts(counts)
    for space in ("user", "item"):
        assert looked_up[space].tolist() == [counts[space][row] for row in sample.table_rows[space]]
