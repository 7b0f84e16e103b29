"""The placement of each table: as configured, or chosen from the memory plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.placement import Placement
from tfrs_pretrain.embeddings.sharded import Sharded
from tfrs_pretrain.training.devices import Device
from tfrs_pretrain.training.memory_fixes import format_bytes
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan


def place_tables(plan: MemoryPlan, config: TrainingConfig, devices: Sequence[Device]) -> None:
    """Decide in the plan which tables are sharded.

    "auto" shards the largest tables until the plan fits. One replica has all rows, so there is nothing to shard; and
    the shards of several workers could not be read by one process.

    Args:
      plan: changed in place: settings and notes.
      config: names the placements.
      devices: all must have room.
    """
    replicas = 1 if config.strategy == "multi_worker" else sum(device.replicas for device in devices)
    plan.settings = dataclasses.replace(plan.settings, replicas=replicas)
    if config.placement == "replicated":
        return
    layout = plan.layout(plan.settings)
    named = {table: config.placement_of(table) for table in _by_size(layout)}
    undecided = [table for table, name in named.items() if name == "auto"]
    before = layout = dataclasses.replace(
        layout, sharded=frozenset(table for table, name in named.items() if name == "sharded" and replicas > 1))
    for table in undecided if replicas > 1 else ():
        if layout.fits(devices):
            break
        layout = dataclasses.replace(layout, sharded=layout.sharded | {table})
    plan.settings = dataclasses.replace(plan.settings, sharded=layout.sharded)
    if undecided:
        plan.notes = (_reason(before, layout, undecided, devices),)


def make_placements(plan: MemoryPlan, strategy: tf.distribute.Strategy) -> Mapping[str, Placement]:
    """Table -> its placement as ``place_tables`` decided, where it is not replicated."""
    replicas = strategy.num_replicas_in_sync
    return {table: Sharded(replicas) for table in plan.settings.sharded} if replicas > 1 else {}


def _by_size(layout: MemoryLayout) -> list[str]:
    """Names of the tables, the largest first."""
    sizes: dict[str, int] = {}
    for table in layout.tables:
        sizes[table.placed] = sizes.get(table.placed, 0) + layout.weights(table) + layout.state(table)
    return sorted(sizes, key=lambda name: -sizes[name])


def _reason(before: MemoryLayout, after: MemoryLayout, undecided: Sequence[str], devices: Sequence[Device]) -> str:
    """A line that says what "auto" chose and why."""
    worst = max(devices, key=lambda device: before.bytes_on(device) / max(device.free, 1))
    need = f"{format_bytes(before.bytes_on(worst))} on {worst.name}, which has {format_bytes(worst.free)} free"
    sharded = [table for table in undecided if table in after.sharded]
    if sharded:
        return (f"placement auto: {', '.join(sharded)} sharded over {after.replicas} replicas, because a copy on each "
                f"needs {need}")
    reason = f"a copy on each replica fits ({need})" if after.replicas > 1 else "there is one replica per process"
    return f"placement auto: {', '.join(undecided)} replicated, because {reason}"
