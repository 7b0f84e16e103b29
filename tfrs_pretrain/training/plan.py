"""Whether what a stage trains fits on the devices, and the cheapest ways out where it does not."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from rich.table import Table

from tfrs_pretrain.embeddings.optimizers import SparseOptimizer
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console
from tfrs_pretrain.training.devices import Device

RESERVE = 0.1  # share of a device that is left to batches, the runtime and the fragments between tables
SMALLEST_STATE = "rowwise_adagrad"
_FLOAT_BYTES = 4
_WAYS = 3
_SHOWN = 0.01  # share of the whole that a table needs for a line of its own
_BEARABLE_LOSS = 0.05  # share of engagements whose ids may lose their row before a smaller dim is the cheaper way


@dataclasses.dataclass(frozen=True)
class TablePlan:
    """One table.

    Attributes:
      name: for people.
      vocabulary: whose ids its rows stand for.
      dim: float32 columns.
      state: float32 columns of the optimizer's state.
      owner: tables of one owner are drawn together before they are placed on the device.
    """

    name: str
    vocabulary: str
    dim: int
    state: int
    owner: str

    @classmethod
    def of(cls, name: str, vocabulary: str, dim: int, rule: SparseOptimizer, owner: str) -> TablePlan:
        """A table that learns by a rule."""
        return cls(name, vocabulary, dim, sum(slot.columns for slot in rule.slots(dim).values()), owner)


@dataclasses.dataclass(frozen=True)
class Layout:
    """What each replica holds.

    Attributes:
      rows: vocabulary -> rows of its tables.
      tables: all of them.
      dense: bytes of the networks, with their optimizers' state.
    """

    rows: Mapping[str, int] = dataclasses.field(hash=False)
    tables: tuple[TablePlan, ...]
    dense: int = 0

    def weights(self, table: TablePlan) -> int:
        """Bytes of the rows."""
        return self.rows[table.vocabulary] * table.dim * _FLOAT_BYTES

    def state(self, table: TablePlan) -> int:
        """Bytes of the optimizer's state."""
        return self.rows[table.vocabulary] * table.state * _FLOAT_BYTES

    def need(self, device: Device) -> int:
        """Bytes that the device must hold: a copy for each replica; on the host also the rows as they are drawn."""
        drawn: dict[str, int] = {}
        for table in self.tables:
            drawn[table.owner] = drawn.get(table.owner, 0) + self.weights(table)
        held = self.dense + sum(self.weights(table) + self.state(table) for table in self.tables)
        return device.replicas * held + (max(drawn.values(), default=0) if device.host else 0)

    def fits(self, devices: Sequence[Device]) -> bool:
        return all(self.need(device) <= device.free * (1 - RESERVE) for device in devices)


@dataclasses.dataclass(frozen=True)
class Choice:
    """What can be changed about a layout without another method.

    Attributes:
      optimizer: of the tables.
      dim: of the ID tables.
      rows: vocabulary -> rows.
    """

    optimizer: str
    dim: int
    rows: Mapping[str, int]


class Plan(abc.ABC):
    """The layout of a stage, as a function of a choice.

    Attributes:
      title: of its table on the console.
      choice: what the configuration asks for.
      optimizer_key: of the configuration.
      spaces: vocabularies of the ID tables.
    """

    title: str
    choice: Choice
    optimizer_key: str
    spaces: Sequence[str]

    @abc.abstractmethod
    def layout(self, choice: Choice) -> Layout:
        """What the stage holds under a choice."""

    @abc.abstractmethod
    def narrowed(self, dim: int) -> str:
        """What to set for ID tables of ``dim`` columns."""

    def without_parts(self) -> Iterable[tuple[str, Plan]]:
        """Plans that leave out a part of the method, each with what to set."""
        return ()


def show_plan(plan: Plan, devices: Sequence[Device], counts: Callable[[str], np.ndarray]) -> None:
    """Prints a plan and refuses one that cannot fit.

    Raises:
      UserError: a device is too small.
    """
    console.print(plan_table(plan, devices))
    check_fits(plan, devices, counts)


def plan_table(plan: Plan, devices: Sequence[Device]) -> Table:
    """The plan for the console."""
    layout = plan.layout(plan.choice)
    table = Table("table", "rows x dim", "weights", f"{plan.choice.optimizer} state", "in all", title=plan.title,
                  title_justify="left")
    held = {part: (layout.weights(part), layout.state(part)) for part in layout.tables}
    total = sum(map(sum, held.values()))
    shown = {part: parts for part, parts in held.items() if sum(parts) >= _SHOWN * total}
    for part, parts in shown.items():
        table.add_row(part.name, f"{layout.rows[part.vocabulary]:,} x {part.dim}", *map(size, (*parts, sum(parts))))
    if rest := [parts for part, parts in held.items() if part not in shown]:
        sums = [sum(column) for column in zip(*rest, strict=True)]
        table.add_row(f"{len(rest)} smaller", "", *map(size, (*sums, sum(sums))))
    if layout.dense:
        table.add_row("networks", "", "", "", size(layout.dense))
    for device in devices:
        copies = f"{device.replicas} copies" if device.replicas > 1 else "1 copy"
        table.add_row(f"on {device.name}", copies, "", f"of {size(device.free)} free", size(layout.need(device)))
    return table


def check_fits(plan: Plan, devices: Sequence[Device], counts: Callable[[str], np.ndarray]) -> None:
    """Refuses a plan that cannot work.

    Args:
      plan: what the configuration asks for.
      devices: all must hold it.
      counts: vocabulary -> int64 [ids], engagements of each id, falling.

    Raises:
      UserError: a device is too small; the message names the three cheapest ways out, each of which fits.
    """
    layout = plan.layout(plan.choice)
    if layout.fits(devices):
        return
    worst = max(devices, key=lambda device: layout.need(device) / max(device.free, 1))
    found = [way for _, way in zip(range(_WAYS), ways_out(plan, devices, counts), strict=False)]
    ways = "; or ".join(f"set {way}" for way in found) or "use a larger device: not even one column a row would fit"
    raise UserError(f"the tables need {size(layout.need(worst))} on {worst.name}, which has {size(worst.free)} free "
                    f"({RESERVE:.0%} is kept for batches): {ways}")


def ways_out(plan: Plan, devices: Sequence[Device], counts: Callable[[str], np.ndarray]) -> Iterator[str]:
    """Changes that make a plan fit, the cheapest first.

    First less state beside the rows, then fewer rows or columns, then without a part of the method, then several.
    """
    choice = plan.choice
    lean = dataclasses.replace(choice, optimizer=SMALLEST_STATE)
    state = f"{plan.optimizer_key}={SMALLEST_STATE}"
    if (layout := plan.layout(lean)).fits(devices):
        yield f"{state} ({_needs(layout, devices)})"
    yield from _smaller(plan, choice, devices, counts, "")
    for text, rest in plan.without_parts():
        if (layout := rest.layout(rest.choice)).fits(devices):
            yield f"{text} ({_needs(layout, devices)})"
    if choice.optimizer != SMALLEST_STATE:
        yield from _smaller(plan, lean, devices, counts, f"{state} and ")


def _smaller(plan: Plan, choice: Choice, devices: Sequence[Device], counts: Callable[[str], np.ndarray],
             prefix: str) -> Iterator[str]:
    layout = plan.layout(choice)
    if layout.fits(devices):
        return
    ways = []
    dim = _largest(choice.dim, lambda dim: plan.layout(dataclasses.replace(choice, dim=dim)).fits(devices))
    dim -= dim % 8 if dim > 8 else 0
    if dim:
        narrow = plan.layout(dataclasses.replace(choice, dim=dim))
        ways.append((_BEARABLE_LOSS, f"{prefix}{plan.narrowed(dim)} ({_needs(narrow, devices)})"))
    largest = max(plan.spaces, key=lambda name: choice.rows[name])
    known = counts(largest)
    shared = choice.rows[largest] - len(known)

    def cut(ids: int) -> Layout:
        return dataclasses.replace(layout, rows={**layout.rows, largest: shared + ids})

    ids = _largest(len(known), lambda ids: cut(ids).fits(devices))
    if ids:
        lost = float(known[ids:].sum() / max(known.sum(), 1))
        ways.append((lost, f"{prefix}schema.{largest}.max_size={ids} or schema.{largest}.min_count={known[ids] + 1} "
                           f"and build the dataset again ({_needs(cut(ids), devices)}; ids with {lost:.1%} of the "
                           "engagements share rows)"))
    yield from (text for _, text in sorted(ways))


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number in 1 .. most that fits, 0 if none; what is smaller than one that fits must fit too."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _needs(layout: Layout, devices: Sequence[Device]) -> str:
    return f"needs {size(max(map(layout.need, devices)))}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit, limit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count:.0f} B"
