"""The training steps need nothing from the host that grows with the batch or a table, once a batch is on a GPU."""

import gpu_models
import pytest
import tensorflow as tf
from gpu_graph import host_crossings, host_traffic, uses_off_the_host, whole_reads

from tfrs_pretrain.embeddings.host import HOST

SIZE, USERS, ITEMS = 64, 400, 300


def traced(trainee):
    return tf.function(trainee.step, autograph=False).get_concrete_function(trainee.batch(0, SIZE))


@pytest.mark.parametrize("variant", gpu_models.STAGE_ONE)
def test_stage_one_stays_on_the_device(variant):
    trainee = gpu_models.stage_one(variant, USERS, ITEMS, SIZE)
    function = traced(trainee)
    assert not host_traffic(function)
    assert not whole_reads(function, trainee.tables)


@pytest.mark.parametrize("variant", gpu_models.STAGE_TWO)
def test_stage_two_stays_on_the_device(variant):
    trainee = gpu_models.stage_two(variant, USERS, ITEMS, SIZE)
    function = traced(trainee)
    assert not host_traffic(function)
    assert not whole_reads(function, trainee.tables)


@pytest.mark.parametrize(("make", "variant"), [
    (gpu_models.stage_one, "mixed"), (gpu_models.stage_one, "rowwise_adagrad"), (gpu_models.stage_two, "attention")])
def test_tables_in_host_memory_are_used_there_and_only_distinct_rows_move(make, variant):
    trainee = make(variant, USERS, ITEMS, SIZE, HOST)
    function = traced(trainee)
    assert not uses_off_the_host(function, trainee.tables)
    assert not host_traffic(function)
    assert not whole_reads(function, trainee.tables)
    # Rows and gradients have no static number: the batch's number of ids would be one.
    assert {shape for name, shape in host_crossings(function) if name == "float32"} == {(None, gpu_models.DIM)}
    assert {name for name, _ in host_crossings(function)} == {"float32", "int64"}


def test_rows_that_leave_the_host_are_recognised():
    [table, _] = gpu_models.stage_one("in_batch", USERS, ITEMS, SIZE, HOST).tables

    @tf.function(autograph=False)
    def step(ids):
        with tf.device("CPU:0"):
            rows = tf.gather(table.weights, ids)
        return rows + 1.0, tf.gather(table.slots["mean"], ids)

    function = step.get_concrete_function(tf.zeros([SIZE], tf.int64))
    assert host_crossings(function) == {("float32", (SIZE, gpu_models.DIM)), ("int64", (SIZE,))}
    assert uses_off_the_host(function, [table]) == ["Gather_1", "user_square:0"]


def test_traffic_is_recognised():
    """By the three kinds: int32 of GPUs lives in the host's memory, no kernel, and one of int32 inside of a loop."""
    @tf.function(autograph=False)
    def step(ids, values):
        pairs = tf.stack([ids, ids], axis=1)
        text = tf.strings.as_string(values)
        total = tf.while_loop(lambda i, _: i < 3, lambda i, kept: (i + 1, kept + kept), (0, ids))[1]
        return pairs, text, total

    found = host_traffic(step.get_concrete_function(tf.zeros([SIZE], tf.int32), tf.zeros([SIZE])))
    assert {"Pack[int32] keeps values on the host", "AsString[float32] has no kernel",
            "AddV2[int32] keeps x on the host"} <= set(found)


def test_a_read_of_a_whole_table_is_recognised():
    [table, _] = gpu_models.stage_one("in_batch", USERS, ITEMS, SIZE).tables
    function = tf.function(lambda: tf.reduce_sum(table.weights), autograph=False).get_concrete_function()
    assert whole_reads(function, [table]) == ["user_weights:0"]
