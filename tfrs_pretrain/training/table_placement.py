"""The placement of each table: as configured, or chosen from the memory plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.host import HOST
from tfrs_pretrain.embeddings.placement import Placement
from tfrs_pretrain.embeddings.sharded import Sharded
from tfrs_pretrain.training.devices import Device, has_host_memory
from tfrs_pretrain.training.memory_fixes import format_bytes
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan


def place_tables(plan: MemoryPlan, config: TrainingConfig, devices: Sequence[Device]) -> None:
    """Decide in the plan which tables are sharded and which are in host memory.

    "auto" shards the largest tables until the plan fits. Where shards of all do not fit, it moves the largest tables to
    the host's memory, if devices have their own. One replica has all rows, so there is nothing to shard; and the shards
    of several workers could not be read by one process.

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
    before = dataclasses.replace(
        layout, sharded=frozenset(table for table, name in named.items() if name == "sharded" and replicas > 1),
        host=frozenset(table for table, name in named.items() if name == "host"))
    layouts = [*_with_shards(before, undecided), *(_with_host(before, undecided) if has_host_memory(devices) else ())]
    shards = dataclasses.replace(before, sharded=before.sharded | set(undecided if replicas > 1 else ()))
    layout = next((layout for layout in layouts if layout.fits(devices)), shards)
    plan.settings = dataclasses.replace(plan.settings, sharded=layout.sharded, host=layout.host)
    if undecided:
        plan.notes = (_reason(shards if layout.host > before.host else before, layout, undecided, devices),)


def make_placements(plan: MemoryPlan, strategy: tf.distribute.Strategy) -> Mapping[str, Placement]:
    """Table -> its placement as ``place_tables`` decided, where it is not replicated."""
    replicas = strategy.num_replicas_in_sync
    sharded = dict.fromkeys(plan.settings.sharded if replicas > 1 else (), Sharded(replicas))
    return {**sharded, **dict.fromkeys(plan.settings.host, HOST)}


def _with_shards(layout: MemoryLayout, undecided: Sequence[str]) -> Iterator[MemoryLayout]:
    """The layout with none of these tables sharded, with the first, and so on; without shards on one replica."""
    for count in range(len(undecided) + 1 if layout.replicas > 1 else 1):
        yield dataclasses.replace(layout, sharded=layout.sharded | set(undecided[:count]))


def _with_host(layout: MemoryLayout, undecided: Sequence[str]) -> Iterator[MemoryLayout]:
    """The layout with the first of these tables in host memory, with the second too, and so on, each with shards."""
    for count in range(1, len(undecided) + 1):
        moved = dataclasses.replace(layout, host=layout.host | set(undecided[:count]))
        yield from _with_shards(moved, undecided[count:])


def _by_size(layout: MemoryLayout) -> list[str]:
    """Names of the tables, the largest first."""
    sizes: dict[str, int] = {}
    for table in layout.tables:
        sizes[table.placed] = sizes.get(table.placed, 0) + layout.weights(table) + layout.state(table)
    return sorted(sizes, key=lambda name: -sizes[name])


def _reason(before: MemoryLayout, after: MemoryLayout, undecided: Sequence[str], devices: Sequence[Device]) -> str:
    """A line that says what "auto" chose, and why not the layout ``before``."""
    worst = max(devices, key=lambda device: before.bytes_on(device) / max(device.free, 1))
    need = f"{format_bytes(before.bytes_on(worst))} on {worst.name}, which has {format_bytes(worst.free)} free"
    host, sharded = (", ".join(table for table in undecided if table in chosen)
                     for chosen in (after.host, after.sharded))
    shards = f"{sharded} sharded over {after.replicas} replicas"
    if host:
        chosen = f"{host} in host memory" + (f", {shards}" if sharded else "")
        reason = "shards of all tables need" if before.replicas > 1 else "a copy on the device needs"
        return f"placement auto: {chosen}, because {reason} {need}"
    if sharded:
        return f"placement auto: {shards}, because a copy on each needs {need}"
    reason = f"a copy on each replica fits ({need})" if after.replicas > 1 else "there is one replica per process"
    return f"placement auto: {', '.join(undecided)} replicated, because {reason}"
