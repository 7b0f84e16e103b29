"""The part of each global batch that a replica trains on."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def distribute_batches(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Any:
    """Split each global batch into consecutive equal parts, one per replica in replica order.

    Args:
      strategy: gives the replicas.
      batches: tensors [batch, ...] in any structure; with several replicas the batch must be static.

    Returns:
      A distributed dataset for ``strategy.run``.
    """
    batches = batches.with_options(_options())
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return strategy.experimental_distribute_dataset(batches)

    def worker_batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        # TensorFlow's own sharding gives workers different batches, not different parts of one.
        share = tf.nest.flatten(batches.element_spec)[0].shape[0] // context.num_input_pipelines
        part = slice(context.input_pipeline_id * share, (context.input_pipeline_id + 1) * share)
        parts = batches.map(lambda batch: tf.nest.map_structure(lambda column: column[part], batch))
        parts = parts.rebatch(share * context.num_input_pipelines // context.num_replicas_in_sync, drop_remainder=True)
        # For data that may end, TensorFlow synchronises all workers at every step, and gives up static shapes.
        return parts.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    return strategy.distribute_datasets_from_function(worker_batches)


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
