"""Reading and updating rows, initial values, the size of a step's tensors, and two replicas (in their own process)."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import run_for_json

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.replicas import gather_from_replicas, local_copy
from tfrs_pretrain.embeddings.sparse_optimizer import NoUpdate
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix


def test_gather_keeps_the_shape_of_the_ids():
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = EmbeddingTable("t", rows, make_optimizer("adagrad"))
    assert table.gather(tf.constant([[3, 0], [1, 3]])).numpy().tolist() == [
        [[9, 10, 11], [0, 1, 2]], [[3, 4, 5], [9, 10, 11]]]
    assert (table.num_rows, table.dim) == (4, 3)
    np.testing.assert_array_equal(table.numpy(), rows)


def test_normal_matrix_has_the_stddev_and_follows_the_seed():
    rows = normal_matrix(2000, 50, 0.05, seed=3)
    assert rows.dtype == np.float32
    assert abs(rows.std() - 0.05) < 5e-4
    assert abs(rows.mean()) < 1e-3
    np.testing.assert_array_equal(rows, normal_matrix(2000, 50, 0.05, seed=3))
    assert not np.array_equal(rows, normal_matrix(2000, 50, 0.05, seed=4))


def test_a_tensorflow_checkpoint_contains_weights_slots_and_step(tmp_path):
    table = EmbeddingTable("t", normal_matrix(5, 2, 1.0, 0), make_optimizer("lazy_adam"))
    table.apply_gradients(tf.constant([1, 3]), tf.ones([2, 2]), 0.1)
    path = tf.train.Checkpoint(table=table).save(str(tmp_path / "c"))
    other = EmbeddingTable("t", normal_matrix(5, 2, 1.0, 9), make_optimizer("lazy_adam"))
    tf.train.Checkpoint(table=other).restore(path).assert_consumed()
    np.testing.assert_array_equal(other.numpy(), table.numpy())
    np.testing.assert_allclose(other.slots["mean"].numpy()[3], [0.1, 0.1], rtol=1e-6)
    assert other.step.numpy() == 1


def test_padding_is_dropped_and_differs_from_row_zero():
    table = EmbeddingTable("t", np.zeros((4, 1), np.float32), make_optimizer("adagrad"))
    table.apply_gradients(tf.constant([-1, 2, 0, -1, 2]), tf.constant([[9.0], [1.0], [-3.0], [9.0], [1.0]]), 0.1,
                          padded=True)
    np.testing.assert_allclose(table.numpy()[:, 0], [0.1, 0.0, -0.1, 0.0], rtol=1e-6)
    np.testing.assert_allclose(table.slots["accumulator"].numpy()[:, 0], [9.0, 0.0, 4.0, 0.0])


def test_a_table_without_update_keeps_its_rows():
    initial = normal_matrix(4, 2, 1.0, 0)
    table = EmbeddingTable("t", initial, NoUpdate())
    table.apply_gradients(tf.constant([1, 3]), tf.ones([2, 2]), 0.1)
    assert table.slots == {}
    np.testing.assert_array_equal(table.numpy(), initial)


def test_one_device_has_one_copy_and_nothing_to_gather():
    variable, values = tf.Variable([1.0]), tf.constant([2, 3])
    assert local_copy(variable) is variable
    assert gather_from_replicas(values) is values


def sizes_in_graph(function):
    """All static dimensions of the tensors in a traced function and the functions that it calls."""
    graph = function.get_concrete_function().graph
    definitions = [graph, *(inner.graph for inner in graph._functions.values() if hasattr(inner, "graph"))]
    return {dim for each in definitions for operation in each.get_operations() for tensor in operation.outputs
            if tensor.shape.rank is not None for dim in tensor.shape}


@pytest.mark.parametrize("options", [{}, {"l2": 0.1, "interval_decay": 0.1}])
@pytest.mark.parametrize("name", ["lazy_adam", "adagrad", "rowwise_adagrad"])
def test_no_tensor_of_a_step_is_as_large_as_the_table(name, options):
    table = EmbeddingTable("t", normal_matrix(4999, 3, 1.0, 0), make_optimizer(name, **options))
    ids, gradients = tf.constant([7, 9, 7]), tf.ones([3, 3])
    sparse = tf.function(lambda: (table.gather(ids), table.apply_gradients(ids, gradients, 0.1, padded=True)),
                         autograph=False)
    dense = tf.function(lambda: table.weights.assign_sub(tf.scatter_nd(ids[:, None], gradients, [4999, 3])),
                        autograph=False)
    assert 4999 not in sizes_in_graph(sparse)
    assert 4999 in sizes_in_graph(dense)


@pytest.mark.slow
def test_two_replicas_apply_the_same_exact_update():
    out = run_for_json([Path(__file__).with_name("table_on_two_replicas.py")])
    # Row 1 has gradient 1 once in each part, row 2 twice 2 and once 2, row 3 once 3; the first Adagrad step is +-rate.
    expected = [[0, 0], [-0.5, -0.5], [-0.5, -0.5], [-0.5, -0.5], [0, 0], [0, 0]]
    accumulator = [[0, 0], [4, 4], [36, 36], [9, 9], [0, 0], [0, 0]]
    assert out["accumulators"] == [accumulator, accumulator]
    assert out["weights"][0] == out["weights"][1]
    np.testing.assert_allclose(out["weights"][0], expected, rtol=1e-6)
    assert out["steps"] == [1, 1]
    assert "is on 2 replicas" in out["refused"]
    assert out["table_reads"] == 0  # a read of the whole variable would copy the table in each step
    assert out["gathers"] >= 4
    assert out["marked"] == [[10], [11]]  # each replica wrote its own copy
    assert out["gathered"] == [[1, 2, 2, 2, 3, 1]] * 2
    assert out["summed"] == [[[3], [5]]] * 2
    assert "cannot be gathered from 2 replicas" in out["refused_shape"]
