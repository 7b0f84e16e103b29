"""Show a memory plan on the console and refuse one that does not fit."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console
from tfrs_pretrain.training.devices import Device, has_host_memory
from tfrs_pretrain.training.memory_fixes import EngagementCounts, format_bytes, suggest_fixes
from tfrs_pretrain.training.memory_plan import RESERVE, MemoryLayout, MemoryPlan

_MAX_FIXES = 3
_MIN_SHARE = 0.01  # share of the total from which a table gets a line of its own


def show_plan(plan: MemoryPlan, devices: Sequence[Device], engagement_counts: EngagementCounts) -> None:
    """Print a plan, and refuse it if it does not fit; arguments and errors as for ``check_memory``."""
    console.print(plan_table(plan, devices))
    for note in plan.notes:
        console.print(Text(note, style="dim"), soft_wrap=True)
    check_memory(plan, devices, engagement_counts)


def plan_table(plan: MemoryPlan, devices: Sequence[Device]) -> Table:
    """The plan as a console table: one line per large table, one for the small ones, one per device."""
    layout = plan.layout(plan.settings)
    table = Table("table", "rows x dim", "weights", f"{plan.settings.optimizer} state", "in all", title=plan.title,
                  title_justify="left")
    for name, rows_by_dim, sizes in _table_lines(layout):
        table.add_row(name, rows_by_dim, *map(format_bytes, (*sizes, sum(sizes))))
    if layout.dense:
        table.add_row("networks", "", "", "", format_bytes(layout.dense))
    for device in devices:
        copies = {0: "", 1: "1 copy"}.get(device.replicas, f"{device.replicas} copies")
        table.add_row(f"on {device.name}", copies, "", f"of {format_bytes(device.free)} free",
                      format_bytes(layout.bytes_on(device)))
        for name, other in _other_placements(layout, devices):
            table.add_row(f"  if all tables are {name}", "", "", "", format_bytes(other.bytes_on(device)))
    return table


def check_memory(plan: MemoryPlan, devices: Sequence[Device], engagement_counts: EngagementCounts) -> None:
    """Refuse a plan that does not fit.

    Args:
      plan: of the stage, with the settings of the configuration.
      devices: all must have room.
      engagement_counts: vocabulary -> int64 [ids], engagements of each id.

    Raises:
      UserError: a device is too small; the message names the three cheapest fixes.
    """
    layout = plan.layout(plan.settings)
    if layout.fits(devices):
        return
    worst = max(devices, key=lambda device: layout.bytes_on(device) / max(device.free, 1))
    fixes = [f"set {fix}" for fix in itertools.islice(suggest_fixes(plan, devices, engagement_counts), _MAX_FIXES)]
    advice = "; or ".join(fixes) or "use a larger device: not even a width of 1 would fit"
    raise UserError(f"the tables need {format_bytes(layout.bytes_on(worst))} on {worst.name}, which has "
                    f"{format_bytes(worst.free)} free ({RESERVE:.0%} is reserved for batches): {advice}")


def _other_placements(layout: MemoryLayout, devices: Sequence[Device]) -> list[tuple[str, MemoryLayout]]:
    """The layout with all tables in each placement; none where all would be the same."""
    everything = frozenset(table.placed for table in layout.tables)
    copies = dataclasses.replace(layout, sharded=frozenset(), host=frozenset())
    found = [("sharded", dataclasses.replace(copies, sharded=everything))] if layout.replicas > 1 else []
    if has_host_memory(devices):
        found.append(("in host memory", dataclasses.replace(copies, host=everything)))
    return [("replicated", copies), *found] if found else []


def _table_lines(layout: MemoryLayout) -> list[tuple[str, str, tuple[int, int]]]:
    """Name, "rows x dim" and (weights, state) bytes of each line."""
    sizes = {table: (layout.weights(table), layout.state(table)) for table in layout.tables}
    total = sum(map(sum, sizes.values()))
    large = {table: size for table, size in sizes.items() if sum(size) >= _MIN_SHARE * total}
    lines = [(table.name + (" (sharded)" if table.placed in layout.sharded else
                            " (host)" if table.placed in layout.host else ""),
              f"{layout.num_rows[table.vocabulary]:,} x {table.dim}", size)
             for table, size in large.items()]
    if small := [size for table, size in sizes.items() if table not in large]:
        weights, state = (sum(column) for column in zip(*small, strict=True))
        lines.append((f"{len(small)} smaller", "", (weights, state)))
    return lines
