"""Training steps of a table that feeds several inputs, some padded, and of several heads on one network."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from replica_steps import Descent

from tfrs_pretrain.config import ArmConfig, RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.model.ranker import Ranker

BATCH, LENGTH, VALUES, DIM = 16, 5, 3, 4
NUM_ROWS = {"user": 8, "item": 12, "tags": 6}
SCHEMA = {
    "user": {"column": "u"}, "item": {"column": "i"}, "time": "ts", "window": "day", "label": "clicked",
    "labels": ["follow", "share"], "history": {"length": LENGTH},
    "features": [{"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": VALUES}],
}
INFO = {"config": {"schema": SCHEMA}, "vocabularies": {name: {"rows": rows} for name, rows in NUM_ROWS.items()},
        "numeric": {}, "splits": {"impressions/train": {}}}


def make(tmp_path, placements=None, **ranking):
    config = RankingConfig.model_validate({
        "backbone": {"kind": "dcn_v2"}, "hidden": [6], "id_dim": DIM, "feature_dim": DIM, "history": "attention",
        "attention_hidden": [5], "labels": {"follow": 0.5}, "similarity": ["cosine"], "arms": {"a": {}}} | ranking)
    return build_learner(config, Dataset(tmp_path, INFO), ArmConfig(), None, hidden=config.hidden, seed=2,
                         privileged=False, placements=placements)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    columns = {"user": random.integers(0, 8, BATCH), "item": random.integers(1, 12, BATCH)}
    for name, length, rows in (("history", LENGTH, 12), ("tags", VALUES, 6)):
        columns[name] = np.where(np.arange(length) < random.integers(0, length + 1, (BATCH, 1)),
                                 random.integers(1, rows, (BATCH, length)), -1)
    columns |= {name: random.integers(0, 2, BATCH).astype(np.float32) for name in ("label", "follow")}
    return {name: tf.constant(values) for name, values in columns.items()}


def state(learner):
    return [table.numpy() for table in learner.ranker.tables.values()] + learner.ranker.network.get_weights()


def naive_gradients(learner, batch):
    """Gradients of whole tables; rows are selected by a one-hot product, in which -1 selects zeros."""
    tables = {name: tf.constant(table.numpy()) for name, table in learner.ranker.tables.items()}
    with tf.GradientTape() as tape:
        tape.watch(tables)
        table_of = {"user": "user", "item": "item", "history": "item", "tags": "tags"}
        rows = {name: tf.einsum("...r,rd->...d", tf.one_hot(batch[name], NUM_ROWS[table]), tables[table])
                for name, table in table_of.items()}
        logits = learner.ranker.logits_from_rows(rows, batch)
        losses = [tf.nn.sigmoid_cross_entropy_with_logits(labels=batch[name], logits=logits[:, head])
                  for head, name in enumerate(("label", "follow"))]
        loss = tf.reduce_mean(losses[0] + 0.5 * losses[1])
    return {name: gradient.numpy() for name, gradient in tape.gradient(loss, tables).items()}


@pytest.mark.parametrize(("policy", "tolerance"), [(None, 1e-3), ("mixed_float16", 0.05), ("mixed_bfloat16", 0.2)])
def test_one_update_applies_the_summed_gradient_of_all_inputs_of_a_table(tmp_path, batch, policy, tolerance):
    made = make(tmp_path, mixed_precision=policy).ranker
    tables = {name: EmbeddingTable(name, table.numpy(), Descent()) for name, table in made.tables.items()}
    learner = Learner(Ranker(made.inputs, tables, made.network, made.labels), learning_rate=0.1,
                      table_learning_rate=1.0, label_loss=make(tmp_path).label_loss)
    assert made.inputs.columns == ("user", "item", "tags", "history")
    before = {name: table.numpy() for name, table in tables.items()}
    expected = naive_gradients(make(tmp_path), batch)  # in float32
    learner.train_step(batch, lambda logits: learner.label_loss(batch, logits))
    for name, table in tables.items():
        largest = np.abs(expected[name]).max()
        assert largest > 1e-4
        np.testing.assert_allclose(before[name] - table.numpy(), expected[name], rtol=0, atol=tolerance * largest)
        assert int(table.step) == 1


def test_padding_never_moves_row_zero(tmp_path, batch):
    """Adam would move it by earlier moments even with a zero gradient."""
    learner = make(tmp_path)
    step = tf.function(label_step(learner), autograph=False)
    step(batch | {"item": tf.zeros(BATCH, tf.int64), "tags": tf.zeros((BATCH, VALUES), tf.int64)})
    before = {name: table.numpy()[0] for name, table in learner.ranker.tables.items()}
    step(batch)
    after = {name: table.numpy()[0] for name, table in learner.ranker.tables.items()}
    np.testing.assert_array_equal(after["item"], before["item"])
    np.testing.assert_array_equal(after["tags"], before["tags"])


def test_empty_lists_update_no_row_and_keep_everything_finite(tmp_path, batch):
    learner = make(tmp_path)
    before = learner.ranker.tables["tags"].numpy()
    empty = batch | {name: tf.fill(batch[name].shape, tf.constant(-1, tf.int64)) for name in ("tags", "history")}
    assert np.isfinite(float(label_step(learner)(empty)["loss"]))
    np.testing.assert_array_equal(learner.ranker.tables["tags"].numpy(), before)
    assert all(np.isfinite(values).all() for values in state(learner))


def test_every_head_is_trained_and_scored(tmp_path, batch):
    learner = make(tmp_path, head_hidden=[3])
    assert learner.ranker.labels == ("label", "follow")
    before = state(learner)
    step = tf.function(label_step(learner), autograph=False)
    losses = [float(step(batch)["loss"]) for _ in range(150)]
    assert losses[-1] < 0.5 * losses[0]
    assert all(not np.array_equal(now, old) for now, old in zip(state(learner), before, strict=True))
    scores = learner.ranker.score(batch).numpy()
    assert scores.shape == (BATCH, 2)
    for head, name in enumerate(("label", "follow")):
        positive = batch[name].numpy() == 1
        assert scores[positive, head].mean() > scores[~positive, head].mean() + 0.3


def test_xla_changes_only_rounding(tmp_path, batch):
    learners = [make(tmp_path, jit_compile=compiled) for compiled in (False, True)]
    for learner in learners:
        step = tf.function(label_step(learner), autograph=False)
        for _ in range(3):
            step(batch)
    for plain, compiled in zip(*(state(learner) for learner in learners), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_xla_compiles_forward_and_backward_pass_but_no_table(tmp_path, batch, compiled):
    step = tf.function(label_step(make(tmp_path, jit_compile=compiled)), autograph=False)
    graph = step.get_concrete_function(batch).graph.as_graph_def()
    functions = [function for function in graph.library.function if function.attr["_XlaMustCompile"].b]
    operations = {node.op for function in functions for node in function.node_def}
    assert ("MatMul" in operations, "ReluGrad" in operations) == (compiled, compiled)
    assert not operations & {"ResourceGather", "ResourceScatterSub", "Unique", "UnsortedSegmentSum"}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_reaches_about_the_same_loss(tmp_path, batch, policy):
    losses = {}
    for mixed in (None, policy):
        step = tf.function(label_step(make(tmp_path, mixed_precision=mixed)), autograph=False)
        losses[mixed] = [float(step(batch)["loss"]) for _ in range(60)]
    assert losses[policy][-1] == pytest.approx(losses[None][-1], abs=0.1)
    assert losses[policy] != losses[None]


def test_a_step_that_overflows_float16_is_skipped_entirely(tmp_path, batch):
    learner = make(tmp_path, mixed_precision="mixed_float16")
    step = tf.function(label_step(learner), autograph=False)
    scale = learner.optimizer.dynamic_scale
    scale.assign(2.0**120)
    before = state(learner)
    step(batch)
    for now, old in zip(state(learner), before, strict=True):
        np.testing.assert_array_equal(now, old)
    assert float(scale.value) == 2.0**119
    assert int(learner.ranker.tables["item"].step) == int(learner.steps) == 0
    scale.assign(2.0**10)
    step(batch)
    assert all(not np.array_equal(now, old) for now, old in zip(state(learner), before, strict=True))
    assert int(learner.ranker.tables["item"].step) == int(learner.steps) == 1
    assert any(variable is scale.value for variable in learner.variables)  # a resumed run restores it


def test_padding_is_never_gathered_and_changes_nothing(tmp_path, batch, monkeypatch):
    """A wider column with the same values gathers no further rows and has the same result."""
    gathered = []
    gather = EmbeddingTable.gather
    monkeypatch.setattr(EmbeddingTable, "gather", lambda table, ids: (gathered.append(len(ids)), gather(table, ids))[1])
    states = []
    for padding in (0, 7):
        learner, columns = make(tmp_path), dict(batch)
        for name in ("history", "tags"):
            columns[name] = tf.pad(batch[name], [[0, 0], [0, padding]], constant_values=-1)
        learner.train_step(columns, functools.partial(learner.label_loss, batch))
        states.append(state(learner))
    present = sum(int((batch[name].numpy() >= 0).sum()) for name in ("history", "tags"))
    half = len(gathered) // 2
    assert gathered[:half] == gathered[half:]
    assert sum(gathered[:4]) == present + 2 * BATCH
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)
