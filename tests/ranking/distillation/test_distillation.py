import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import DistillationConfig
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.distillation.step import (
    TEACHER_LOGITS,
    distillation_step,
    label_step,
    soft_losses,
    soft_weight,
)

STUDENT = np.array([-2.0, 0.5, 3.0, 1.0], np.float32)
TEACHER = np.array([-1.0, 2.0, -0.5, 0.0], np.float32)


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def cross_entropy(target, logit):
    return -(target * np.log(sigmoid(logit)) + (1 - target) * np.log(1 - sigmoid(logit)))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_losses_equal_the_naive_twin(temperature):
    expected = temperature**2 * cross_entropy(sigmoid(TEACHER / temperature), STUDENT / temperature)
    np.testing.assert_allclose(soft_losses(TEACHER, STUDENT, temperature), expected, rtol=1e-5)


def test_the_soft_gradient_is_the_difference_of_softened_probabilities_and_zero_for_the_teacher():
    teacher, student = tf.constant(TEACHER), tf.constant(STUDENT)
    with tf.GradientTape() as tape:
        tape.watch((teacher, student))
        loss = tf.reduce_sum(soft_losses(teacher, student, 3.0))
    to_teacher, to_student = tape.gradient(loss, (teacher, student))
    assert to_teacher is None
    np.testing.assert_allclose(to_student, 3.0 * (sigmoid(STUDENT / 3) - sigmoid(TEACHER / 3)), rtol=1e-4)


def test_weight_grows_linearly_over_the_warm_up():
    settings = DistillationConfig(weight=0.6, warmup_steps=4)
    weights = [float(soft_weight(tf.constant(step), settings)) for step in (0, 1, 2, 4, 9)]
    np.testing.assert_allclose(weights, [0.0, 0.15, 0.3, 0.6, 0.6], rtol=1e-6)
    assert float(soft_weight(tf.constant(0), DistillationConfig(weight=0.6))) == pytest.approx(0.6)


def batches(count=6):
    random = np.random.default_rng(2)
    for _ in range(count):
        columns = {name: random.integers(0, most, 64) for name, most in
                   (("user", 150), ("item", 250), ("place", 3), ("outcome", 4))}
        columns |= {name: random.normal(3, 2, 64).astype(np.float32) for name in ("price", "dwell")}
        columns["label"] = random.integers(0, 2, 64).astype(np.float32)
        yield {name: tf.constant(values) for name, values in columns.items()}


def train(build, make_step):
    """Role -> learner, and the metrics of each step."""
    learners = {role: build(role) for role in ("student", "teacher")}
    step = tf.function(make_step(learners["student"], learners["teacher"]), autograph=False)
    return learners, [{name: float(value) for name, value in step(batch).items()} for batch in batches()]


def state(learner):
    return [table.numpy() for table in learner.ranker.tables.values()] + learner.ranker.network.get_weights()


def test_weight_zero_is_bit_identical_to_no_distillation(build):
    distilled, history = train(build, lambda student, teacher: distillation_step(
        student, teacher, DistillationConfig(weight=0.0)))
    plain, plain_history = train(build, lambda student, _: label_step(student))
    for one, other in zip(state(distilled["student"]), state(plain["student"]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [values["loss"] for values in history] == [values["loss"] for values in plain_history]


def test_the_teacher_is_independent_of_its_student(build):
    """It trains identically for any weight and temperature, and as a model trained on labels alone."""
    settings = (DistillationConfig(weight=0.0), DistillationConfig(weight=1.0, temperature=5.0))
    runs = [train(build, lambda student, teacher, s=s: distillation_step(student, teacher, s))[0]
            for s in settings]
    alone, _ = train(build, lambda _, teacher: label_step(teacher))
    for first, second, third in zip(*(state(run["teacher"]) for run in (*runs, alone)), strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
    assert any(not np.array_equal(a, b) for a, b in zip(*(state(run["student"]) for run in runs), strict=True))


def test_reported_terms_add_up_to_the_loss(build):
    settings = DistillationConfig(weight=0.4, temperature=2.0, warmup_steps=2)
    _, history = train(build, lambda student, teacher: distillation_step(student, teacher, settings))
    assert [values["soft_weight"] for values in history] == pytest.approx([0.0, 0.2, 0.4, 0.4, 0.4, 0.4])
    for values in history:
        weight = values["soft_weight"]
        assert values["loss"] == pytest.approx((1 - weight) * values["hard"] + weight * values["soft"], rel=1e-5)
        assert values["teacher"] != values["hard"]


def test_each_head_is_distilled_from_the_teachers_head_with_its_own_weight(planted, config):
    ranking = config.ranking.model_copy(update={"labels": {"liked": 0.25}})
    student = build_learner(ranking, planted.dataset, config.ranking.arms["scratch"], None, hidden=(16, 8), seed=11,
                            privileged=False)
    batch = next(batches()) | {"liked": tf.zeros([64])}
    teacher = np.random.default_rng(1).normal(size=(64, 2)).astype(np.float32)
    before = student.ranker.logits(batch).numpy()
    values = distillation_step(student, None, DistillationConfig(weight=0.5, temperature=2.0))(
        batch | {TEACHER_LOGITS: tf.constant(teacher)})
    terms = 4 * cross_entropy(sigmoid(teacher / 2), before / 2)
    assert float(values["soft"]) == pytest.approx((terms[:, 0] + 0.25 * terms[:, 1]).mean(), rel=1e-5)
    labels = np.stack([batch["label"], np.zeros(64)], axis=1)
    hard = cross_entropy(labels, before)
    assert float(values["hard"]) == pytest.approx((hard[:, 0] + 0.25 * hard[:, 1]).mean(), rel=1e-5)
