"""Configuration changes that make a memory plan fit, the cheapest first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfrs_pretrain.training.devices import Device, has_host_memory
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan, PlanSettings

SMALLEST_STATE = "rowwise_adagrad"
_TOLERABLE_LOSS = 0.05  # share of engagements whose ids may lose their row before a smaller dim is the cheaper fix

EngagementCounts = Callable[[str], np.ndarray]


def suggest_fixes(plan: MemoryPlan, devices: Sequence[Device], engagement_counts: EngagementCounts) -> Iterator[str]:
    """Changes that make a plan fit, the cheapest first; each fits on its own.

    The order: another placement, less optimizer state, then fewer rows or a smaller width, then without a component of
    the method, then less state together with fewer rows or a smaller width.

    Args:
      plan: of the stage.
      devices: all must have room.
      engagement_counts: vocabulary -> int64 [ids], engagements of each id.
    """
    settings = plan.settings
    small_state = dataclasses.replace(settings, optimizer=SMALLEST_STATE)
    override = f"{plan.optimizer_key}={SMALLEST_STATE}"
    yield from _place(plan, devices)
    if (layout := plan.layout(small_state)).fits(devices):
        yield _fix(override, layout, devices)
    yield from _reduce_size(plan, settings, devices, engagement_counts)
    for component_override, smaller in plan.without_components():
        if (layout := smaller.layout(smaller.settings)).fits(devices):
            yield _fix(component_override, layout, devices)
    if settings.optimizer != SMALLEST_STATE:
        for text in _reduce_size(plan, small_state, devices, engagement_counts):
            yield f"{override} and {text}"


def format_bytes(count: float) -> str:
    """A number of bytes with a decimal unit, such as "844.8 MB"."""
    for unit, limit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count:.0f} B"


def _place(plan: MemoryPlan, devices: Sequence[Device]) -> Iterator[str]:
    everything = frozenset(table.placed for table in plan.layout(plan.settings).tables)
    copies = dataclasses.replace(plan.settings, sharded=frozenset(), host=frozenset())
    shards = plan.layout(dataclasses.replace(copies, sharded=everything))
    on_host = plan.layout(dataclasses.replace(copies, host=everything))
    if plan.settings.replicas > 1 and shards.fits(devices):
        yield _fix("training.placement=sharded", shards, devices)
    elif has_host_memory(devices) and on_host.fits(devices):
        yield _fix("training.placement=host", on_host, devices)


def _reduce_size(plan: MemoryPlan, settings: PlanSettings, devices: Sequence[Device],
                 engagement_counts: EngagementCounts) -> list[str]:
    """A smaller width and fewer rows, the one that loses less first; none if the settings fit already."""
    if plan.layout(settings).fits(devices):
        return []
    fixes = [*_reduce_dim(plan, settings, devices), *_reduce_rows(plan, settings, devices, engagement_counts)]
    return [text for _, text in sorted(fixes)]


def _reduce_dim(plan: MemoryPlan, settings: PlanSettings, devices: Sequence[Device]) -> Iterator[tuple[float, str]]:
    def layout(dim: int) -> MemoryLayout:
        return plan.layout(dataclasses.replace(settings, dim=dim))

    dim = _largest_fitting(settings.dim, lambda dim: layout(dim).fits(devices))
    dim -= dim % 8 if dim > 8 else 0
    if dim:
        yield _TOLERABLE_LOSS, _fix(plan.dim_setting(dim), layout(dim), devices)


def _reduce_rows(plan: MemoryPlan, settings: PlanSettings, devices: Sequence[Device],
                 engagement_counts: EngagementCounts) -> Iterator[tuple[float, str]]:
    """Fewer ids in the largest vocabulary, with the share of engagements whose ids lose their row."""
    largest = max(plan.id_spaces, key=lambda name: settings.num_rows[name])
    counts, full = np.sort(engagement_counts(largest))[::-1], plan.layout(settings)
    oov_rows = settings.num_rows[largest] - len(counts)

    def layout(ids: int) -> MemoryLayout:
        return dataclasses.replace(full, num_rows={**full.num_rows, largest: oov_rows + ids})

    ids = _largest_fitting(len(counts), lambda ids: layout(ids).fits(devices))
    if ids:
        lost = float(counts[ids:].sum() / max(counts.sum(), 1))
        override = (f"schema.{largest}.max_size={ids} or schema.{largest}.min_count={counts[ids] + 1} and build the "
                    "dataset again")
        yield lost, _fix(override, layout(ids), devices, f"; ids with {lost:.1%} of the engagements share rows")


def _largest_fitting(maximum: int, fits: Callable[[int], bool]) -> int:
    """The largest number in 1 .. maximum that fits, 0 if none does; all smaller numbers must fit too."""
    low, high = 0, maximum
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _fix(override: str, layout: MemoryLayout, devices: Sequence[Device], remark: str = "") -> str:
    return f"{override} (needs {format_bytes(max(map(layout.bytes_on, devices)))}{remark})"
