"""Reading rows, initial rows, the cost of a step, and two replicas (in a process of its own)."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

import tfrs_pretrain  # noqa: F401  (selects Keras 2 for tf.keras before TensorFlow loads)

# isort: split
import tensorflow as tf

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix


def test_gather_keeps_the_shape_of_the_ids():
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = EmbeddingTable("t", rows, make_optimizer("adagrad"))
    assert table.gather(tf.constant([[3, 0], [1, 3]])).numpy().tolist() == [
        [[9, 10, 11], [0, 1, 2]], [[3, 4, 5], [9, 10, 11]]]
    assert (table.num_rows, table.dim) == (4, 3)
    np.testing.assert_array_equal(table.numpy(), rows)


def test_normal_rows_have_the_scale_and_follow_the_seed():
    rows = normal_matrix(2000, 50, 0.05, seed=3)
    assert rows.dtype == np.float32
    assert abs(rows.std() - 0.05) < 5e-4
    assert abs(rows.mean()) < 1e-3
    np.testing.assert_array_equal(rows, normal_matrix(2000, 50, 0.05, seed=3))
    assert not np.array_equal(rows, normal_matrix(2000, 50, 0.05, seed=4))


def test_checkpoint_carries_weights_slots_and_step(tmp_path):
    table = EmbeddingTable("t", normal_matrix(5, 2, 1.0, 0), make_optimizer("lazy_adam"))
    table.apply_gradients(tf.constant([1, 3]), tf.ones([2, 2]), 0.1)
    path = tf.train.Checkpoint(table=table).save(str(tmp_path / "c"))
    other = EmbeddingTable("t", normal_matrix(5, 2, 1.0, 9), make_optimizer("lazy_adam"))
    tf.train.Checkpoint(table=other).restore(path).assert_consumed()
    np.testing.assert_array_equal(other.numpy(), table.numpy())
    np.testing.assert_allclose(other.slots["mean"].numpy()[3], [0.1, 0.1], rtol=1e-6)
    assert other.step.numpy() == 1


def test_padding_is_dropped_and_row_zero_is_not_taken_for_it():
    table = EmbeddingTable("t", np.zeros((4, 1), np.float32), make_optimizer("adagrad"))
    table.apply_gradients(tf.constant([-1, 2, 0, -1, 2]), tf.constant([[9.0], [1.0], [-3.0], [9.0], [1.0]]), 0.1,
                          padded=True)
    np.testing.assert_allclose(table.numpy()[:, 0], [0.1, 0.0, -0.1, 0.0], rtol=1e-6)
    np.testing.assert_allclose(table.slots["accumulator"].numpy()[:, 0], [9.0, 0.0, 4.0, 0.0])


def test_update_cost_does_not_grow_with_the_table():
    def seconds(rows: int) -> float:
        table = EmbeddingTable("t", normal_matrix(rows, 16, 1.0, 0), make_optimizer("lazy_adam"))
        ids = tf.constant(np.random.default_rng(0).integers(0, rows, 1024))
        update = tf.function(lambda: table.apply_gradients(ids, tf.ones([1024, 16]), 0.1))
        update()
        times = []
        for _ in range(15):
            start = time.perf_counter()
            update()
            times.append(time.perf_counter() - start)
        return float(np.median(times))

    # 200 times the rows: a dense update would cost far more than 8 times as much.
    assert seconds(1_000_000) < 8 * seconds(5_000) + 1e-3


TWO_REPLICAS = """
import json
import numpy as np
import tfrs_pretrain
import tensorflow as tf
from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.training.strategy import build_strategy

strategy = build_strategy(TrainingConfig(logical_cpus=2))
assert build_strategy(TrainingConfig(logical_cpus=2)) is strategy
with strategy.scope():
    table = EmbeddingTable("t", np.zeros((6, 2), np.float32), make_optimizer("adagrad"))
parts = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant([[1, 2, 2], [2, 3, 1]])[context.replica_id_in_sync_group])

@tf.function
def step(ids):
    def replica(ids):
        before = table.gather(ids)
        table.apply_gradients(ids, tf.ones([3, 2]) * tf.cast(ids[:, None], tf.float32), 0.5)
        return before
    return strategy.run(replica, args=(ids,))

step(parts)
try:
    table.apply_gradients(tf.constant([1]), tf.ones([1, 2]), 0.5)
    refused = ""
except ValueError as error:
    refused = str(error)
copies = [copy.numpy().tolist() for copy in strategy.experimental_local_results(table.weights)]
sums = [copy.numpy().tolist() for copy in strategy.experimental_local_results(table.slots["accumulator"])]
nodes = [n.op for n in step.get_concrete_function(parts).graph.as_graph_def().node]
functions = step.get_concrete_function(parts).graph.as_graph_def().library.function
reads = sum(n.op == "ReadVariableOp" and n.attr["dtype"].type == 1 for f in functions for n in f.node_def)
print(json.dumps({"copies": copies, "sums": sums, "refused": refused, "table_reads": reads,
                  "gathers": nodes.count("ResourceGather")}))
"""


@pytest.mark.slow
def test_two_replicas_apply_the_same_exact_update():
    done = subprocess.run([sys.executable, "-c", TWO_REPLICAS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    out = json.loads(done.stdout.splitlines()[-1])
    # Row 1 has gradient 1 once in each part, row 2 twice 2 and once 2, row 3 once 3; the first Adagrad step is +-rate.
    expected = [[0, 0], [-0.5, -0.5], [-0.5, -0.5], [-0.5, -0.5], [0, 0], [0, 0]]
    sums = [[0, 0], [4, 4], [36, 36], [9, 9], [0, 0], [0, 0]]
    assert out["sums"] == [sums, sums]
    assert out["copies"][0] == out["copies"][1]
    np.testing.assert_allclose(out["copies"][0], expected, rtol=1e-6)
    assert "is on 2 replicas" in out["refused"]
    assert out["table_reads"] == 0  # a read of the whole variable would copy the table in each step
    assert out["gathers"] >= 4
