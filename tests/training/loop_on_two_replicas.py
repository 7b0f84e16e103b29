"""Runs two epochs on two replicas and prints, as JSON, their means and which values each replica saw."""

import json

import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.strategy import build_strategy

STEPS, BATCH = 40, 4


class CountingMeter:
    """Counts the examples."""

    def __init__(self):
        self.examples = 0

    def advance(self, amount):
        self.examples += amount

    def note(self, text):
        """Ignore the text."""


def refusal():
    """The error of another number of logical CPUs."""
    try:
        build_strategy(TrainingConfig(logical_cpus=4))
    except UserError as error:
        return str(error)
    return ""


def main():
    strategy, meter = build_strategy(TrainingConfig(logical_cpus=2)), CountingMeter()
    with strategy.scope():
        seen = tf.Variable([0.0, 0.0], aggregation=tf.VariableAggregation.SUM)

    def step(batch):
        assert batch["x"].shape == (BATCH // 2,)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seen.assign_add(tf.one_hot(replica, 2) * tf.reduce_sum(batch["x"]))
        return {"loss": tf.reduce_mean(batch["x"])}

    data = tf.data.Dataset.from_tensors({"x": tf.range(float(STEPS * BATCH))}).rebatch(BATCH, drop_remainder=True)
    means = [run_epoch(strategy, step, data, steps=STEPS, meter=meter) for _ in range(2)]
    print(json.dumps({"means": means, "seen": seen.numpy().tolist(), "examples": meter.examples,
                      "refused": refusal()}))


if __name__ == "__main__":
    main()
