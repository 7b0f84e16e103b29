"""The model that a configuration describes: tables, correction, prior, schedule; and what identifies a run."""

import dataclasses

import numpy as np
import planted
import pytest
import tensorflow as tf

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.build import build_model
from tfrs_pretrain.pretraining.cosine_contrastive import CosineContrastive
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.run import pretrain, run_identity
from tfrs_pretrain.pretraining.uniform_softmax import UniformSoftmax

MIXED = {"temperature": 0.3, "negatives": {"kind": "mixed", "count": 100}}
UNIFORM = {"temperature": 0.3, "negatives": {"kind": "uniform", "count": 64}}
COSINE = {"kind": "cosine_contrastive", "negatives": {"count": 64}}


def configured(seed=7, training=None, **pretraining):
    tree = planted.planted_config(seed=seed, training=training or {})
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | pretraining})


def test_the_correction_is_that_of_the_global_batch(tiny_dataset):
    """Of 128 + 100 negatives a step, 128 are distributed as the training pairs and 100 uniformly."""
    model = build_model(configured(batch_size=128, objective=MIXED), tiny_dataset, 10)
    share = tiny_dataset.sampling_probability
    expected = np.log((128 * share + 100 / len(share)) / 228)
    np.testing.assert_allclose(model.log_probability.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("objective", [
    UNIFORM, COSINE, {"temperature": 0.3, "negatives": {"log_q": "none"}}])
def test_uniform_negatives_and_log_q_none_have_no_correction(tiny_dataset, objective):
    assert build_model(configured(objective=objective), tiny_dataset, 10).log_probability is None


@pytest.mark.parametrize(("objective", "kind", "temperature"), [
    (MIXED, InBatchSoftmax, 0.3), (UNIFORM, UniformSoftmax, 0.3), (COSINE, CosineContrastive, 1.0)])
def test_the_objective_selects_loss_and_temperature(tiny_dataset, objective, kind, temperature):
    model = build_model(configured(objective=objective), tiny_dataset, 10)
    assert type(model.task) is kind
    assert float(model.temperature) == pytest.approx(temperature)
    assert (model.log_temperature, model.known, model.prior) == (None, None, None)


def test_prior_known_positives_and_learnt_temperature_are_optional_parts(tiny_dataset):
    objective = {"temperature": 0.3, "learn_temperature": True, "popularity_prior": 0.5,
                 "negatives": {"kind": "mixed", "count": 100, "mask_known_positives": True}}
    model = build_model(configured(objective=objective), tiny_dataset, 10)
    np.testing.assert_allclose(model.prior.numpy(), 0.5 * np.log(tiny_dataset.sampling_probability), rtol=1e-5)
    assert float(model.temperature) == pytest.approx(0.3)
    assert model.log_temperature.numpy()[0, 0] == pytest.approx(np.log(0.3))
    assert model.known is not None


def test_tables_have_independent_values_of_the_configured_size(tiny_dataset):
    model = build_model(configured(initial_scale=0.2), tiny_dataset, 10)
    for table, name in ((model.users, "user"), (model.items, "item")):
        assert (table.num_rows, table.dim) == (tiny_dataset.num_rows(name), 8)
        assert table.numpy().std() == pytest.approx(0.2, rel=0.1)
    rows = min(model.users.num_rows, model.items.num_rows)
    assert abs(np.corrcoef(model.users.numpy()[:rows].ravel(), model.items.numpy()[:rows].ravel())[0, 1]) < 0.1
    other = build_model(configured(initial_scale=0.2, seed=8), tiny_dataset, 10)
    assert not np.array_equal(other.users.numpy(), model.users.numpy())


def test_the_schedule_covers_all_epochs(tiny_dataset):
    model = build_model(configured(schedule="linear", learning_rate=0.4, warmup_steps=0), tiny_dataset, 30)
    rates = [float(model.learning_rate(tf.constant(step, tf.int64))) for step in (0, 15, 30)]
    assert rates == pytest.approx([0.4, 0.2, 0.0])


def test_the_identity_of_a_run_changes_with_everything_that_decides_its_rows(tiny_dataset):
    base = run_identity(configured(), tiny_dataset, 1)
    changed = [run_identity(configured(seed=8), tiny_dataset, 1), run_identity(configured(epochs=9), tiny_dataset, 1),
               run_identity(configured(training={"deterministic": False}), tiny_dataset, 1),
               run_identity(configured(), tiny_dataset, 2)]
    assert all(other != base for other in changed)
    assert run_identity(configured(training={"checkpoint_every_steps": 5}), tiny_dataset, 1) == base


def test_a_batch_that_cannot_be_split_among_the_replicas_is_refused(tiny_dataset, tmp_path, monkeypatch):
    @dataclasses.dataclass
    class ThreeReplicas:
        num_replicas_in_sync: int = 3
        cluster_resolver: None = None

    monkeypatch.setattr("tfrs_pretrain.pretraining.run.build_strategy", lambda training: ThreeReplicas())
    with pytest.raises(UserError, match=r"pretraining.batch_size 128 must be a multiple of the 3 devices"):
        pretrain(configured(batch_size=128), tiny_dataset, tmp_path / "e")
