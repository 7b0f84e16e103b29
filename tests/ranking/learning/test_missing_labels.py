"""Missing labels in the loss: masked, counted in the batch size, without a trace in the gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import DistillationConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.distillation.step import TEACHER_LOGITS, distillation_step
from tfrs_pretrain.ranking.learning.losses import LabelLoss, NegativeSampling

NAN = np.nan
BATCH = {"label": np.array([0, NAN, 1, 0, 1, NAN], np.float32),
         "bought": np.array([NAN, NAN, 1, 0, NAN, 1], np.float32), "liked": np.array([1, 0, 0, 1, 1, 0], np.float32)}
LOGITS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
WEIGHTS = {"label": 1.0, "bought": 2.0, "liked": 0.5}
OPTIONAL = frozenset({"label", "bought"})


def cross_entropy(target, logit):
    probability = 1 / (1 + np.exp(-np.float64(logit)))
    return -(target * np.log(probability) + (1 - target) * np.log(1 - probability))


def naive(batch, logits, sampling=None):
    """The losses of a batch, one number at a time."""
    losses = []
    for row in range(len(logits)):
        total, main = 0.0, batch["label"][row]
        for head, (name, weight) in enumerate(WEIGHTS.items()):
            label, logit, importance = batch[name][row], logits[row, head], 1.0
            if sampling:
                logit -= np.log(sampling.rate) if head == 0 else 0
                negative = 1 / sampling.rate
                importance = (negative if main == 0 else 1.0) / (
                    sampling.positives + (1 - sampling.positives) * negative) if head else 1.0
            total += 0.0 if np.isnan(label) else weight * importance * cross_entropy(label, logit)
        losses.append(total)
    return losses


@pytest.mark.parametrize("sampling", [None, NegativeSampling(0.2, 0.6)])
def test_a_missing_label_adds_nothing_to_loss_and_gradient(sampling):
    loss, logits = LabelLoss(WEIGHTS, sampling, OPTIONAL), tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = loss(BATCH, logits)
    np.testing.assert_allclose(losses, naive(BATCH, LOGITS, sampling), rtol=1e-5)
    gradient = tape.gradient(losses, logits).numpy()
    missing = np.isnan(np.stack(list(BATCH.values()), axis=1))
    np.testing.assert_array_equal(gradient == 0, missing)
    assert np.isfinite(gradient).all()


def test_present_labels_have_the_loss_that_they_have_without_optional_ones():
    whole = {name: np.nan_to_num(values) for name, values in BATCH.items()}
    for sampling in (None, NegativeSampling(0.2, 0.6)):
        np.testing.assert_array_equal(LabelLoss(WEIGHTS, sampling, OPTIONAL)(whole, LOGITS),
                                      LabelLoss(WEIGHTS, sampling)(whole, LOGITS))


def test_the_loss_is_the_sum_over_present_labels_divided_by_the_batch_size_on_any_number_of_replicas():
    loss = LabelLoss(WEIGHTS, None, OPTIONAL)
    whole = tf.reduce_mean(loss(BATCH, LOGITS))
    assert float(whole) == pytest.approx(sum(naive(BATCH, LOGITS)) / 6, rel=1e-6)
    parts = [tf.reduce_mean(loss({name: values[part] for name, values in BATCH.items()}, LOGITS[part]))
             for part in (slice(0, 2), slice(2, 4), slice(4, 6))]
    assert float(sum(parts)) / 3 == pytest.approx(float(whole), rel=1e-6)


def test_sampled_shares_count_impressions_without_a_label_as_retained(planted):
    split = {"negative_rate": 0.5, "label_rate": 0.25, "missing_label_share": {"label": 0.2}}
    dataset = Dataset(planted.dataset.folder, {"splits": {"impressions/train": split}})
    assert NegativeSampling.from_dataset(dataset) == NegativeSampling(0.5, pytest.approx(0.8 * 0.25 + 0.2))


@pytest.mark.parametrize("labelled", [True, False])
def test_a_step_on_a_batch_without_labels_trains_nothing(labelled, build, drawn):
    """With a teacher too: its logits are targets for impressions with a label only."""
    student = build("student")
    student.label_loss = LabelLoss({"label": 1.0}, None, frozenset({"label"}))
    before = [table.numpy().copy() for table in student.ranker.tables.values()]
    columns = drawn(np.random.default_rng(1), 64)
    batch = {name: tf.constant(values) for name, values in columns.items() if not name.endswith("_id")}
    if not labelled:
        batch["label"] = tf.fill([64], NAN)
    batch[TEACHER_LOGITS] = tf.ones([64, 1])
    step = distillation_step(student, None, DistillationConfig(weight=0.5))
    results = {name: float(value) for name, value in step(batch).items()}
    after = [table.numpy() for table in student.ranker.tables.values()]
    assert np.isfinite(list(results.values())).all()
    assert all(np.isfinite(rows).all() for rows in after)
    assert [results[name] == 0 for name in ("loss", "hard", "soft", "teacher")] == [not labelled] * 4
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True)) != labelled
    weights = student.ranker.network.trainable_variables
    assert all(np.isfinite(weight.numpy()).all() for weight in weights)
