"""Variables and values on several replicas."""

from __future__ import annotations

import tensorflow as tf


def local_copy(variable: tf.Variable) -> tf.Variable:
    """This replica's copy of a mirrored variable; outside of replicas, the first copy.

    Reading a mirrored variable itself inside a replica would copy all of it in every step.
    """
    copies = replica_copies(variable)
    context = tf.distribute.get_replica_context()
    if context is None:
        return copies[0]
    replica = int(tf.get_static_value(context.replica_id_in_sync_group))
    return copies[replica % len(copies)]


def replica_copies(variable: tf.Variable) -> tuple[tf.Variable, ...]:
    """The copies of a variable on this process's replicas."""
    strategy = getattr(variable, "distribute_strategy", None)
    return strategy.experimental_local_results(variable) if strategy else (variable,)


def gather_from_replicas(values: tf.Tensor) -> tf.Tensor:
    """Concatenate the values [n, ...] of every replica to [replicas * n, ...], in replica order, on each replica.

    Raises:
      ValueError: there are several replicas and the shape is not static. TensorFlow's collectives keep the shape of
        their first use, so a size that changes between steps would abort a later step.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    if not values.shape.is_fully_defined():
        raise ValueError(f"values of shape {values.shape} cannot be gathered from {context.num_replicas_in_sync} "
                         "replicas: their shape must be static (batch with drop_remainder=True)")
    # The copy is placed on the replica's device; TensorFlow refuses to gather a value without a device across workers.
    return context.all_gather(tf.identity(values), axis=0)


def sum_over_replicas(values: tf.Tensor, max_rows: int | None) -> tf.Tensor:
    """Sum the values [n, dim] of all replicas; n varies between steps but is the same on every replica.

    Args:
      values: float32 [n, dim].
      max_rows: upper bound of n, the same in every step; None if it is not known.

    Raises:
      ValueError: there are several replicas and ``max_rows`` is None.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return values
    if max_rows is None:
        raise ValueError(f"a sum over {context.num_replicas_in_sync} replicas needs an upper bound of its rows: batch "
                         "with drop_remainder=True")
    # Collectives need the same size in every step.
    num_rows = tf.shape(values)[0]
    padded = tf.pad(values, [[0, max_rows - num_rows], [0, 0]])
    padded = tf.ensure_shape(padded, [max_rows, values.shape[1]])
    return sum_of_replicas(padded)[:num_rows]


def sum_of_replicas(values: tf.Tensor) -> tf.Tensor:
    """Sum values of a static shape over all replicas; inside of a replica."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
