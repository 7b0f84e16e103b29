"""Updates a table on two replicas and prints, as JSON, each replica's weights and state and the graph's reads."""

import json

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.replicas import gather_from_replicas, local_copy, sum_over_replicas
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.training.strategy import build_strategy

PARTS = [[1, 2, 2], [2, 3, 1]]


def copies(strategy, variable):
    """The values of a variable on each replica."""
    return [copy.numpy().tolist() for copy in strategy.experimental_local_results(variable)]


def refusal(function, *arguments):
    """The message of the ValueError that a function raises."""
    try:
        function(*arguments)
    except ValueError as error:
        return str(error)
    return ""


def reads_of_whole_float_variables(graph):
    return sum(node.op == "ReadVariableOp" and node.attr["dtype"].type == 1
               for function in graph.library.function for node in function.node_def)


def main():
    strategy = build_strategy(TrainingConfig(logical_cpus=2))
    assert build_strategy(TrainingConfig(logical_cpus=2)) is strategy
    with strategy.scope():
        table = EmbeddingTable("t", np.zeros((6, 2), np.float32), make_optimizer("adagrad"))
        marked = tf.Variable([0.0])
    ids = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(PARTS)[context.replica_id_in_sync_group])

    def update(ids):
        table.apply_gradients(ids, tf.ones([3, 2]) * tf.cast(ids[:, None], tf.float32), 0.5)
        return table.gather(ids)

    def collect(ids):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        local_copy(marked).assign([10.0 + float(replica)])
        values = tf.cast(ids[:2, None], tf.float32)
        return gather_from_replicas(ids), sum_over_replicas(values, max_rows=5)

    step = tf.function(lambda ids: strategy.run(update, args=(ids,)))
    step(ids)
    collected = tf.function(lambda ids: strategy.run(collect, args=(ids,)))(ids)
    graph = step.get_concrete_function(ids).graph.as_graph_def()
    dynamic = tf.function(lambda ids: strategy.run(lambda ids: gather_from_replicas(tf.boolean_mask(ids, ids > 1)),
                                                   args=(ids,)))
    print(json.dumps({
        "weights": copies(strategy, table.weights), "accumulators": copies(strategy, table.slots["accumulator"]),
        "steps": copies(strategy, table.step), "marked": copies(strategy, marked),
        "refused": refusal(table.apply_gradients, tf.constant([1]), tf.ones([1, 2]), 0.5),
        "refused_shape": refusal(dynamic, ids),
        "gathered": [part.numpy().tolist() for part in strategy.experimental_local_results(collected[0])],
        "summed": [part.numpy().tolist() for part in strategy.experimental_local_results(collected[1])],
        "table_reads": reads_of_whole_float_variables(graph),
        "gathers": [node.op for node in graph.node].count("ResourceGather")}))


if __name__ == "__main__":
    main()
