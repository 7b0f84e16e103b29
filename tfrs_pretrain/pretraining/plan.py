"""Whether the tables of Stage I fit on the devices, and the cheapest ways out where they do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rich.table import Table

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console
from tfrs_pretrain.training.devices import Device

RESERVE = 0.1  # share of a device that is left to batches, the runtime and the fragments between tables
SMALLEST_STATE = "rowwise_adagrad"
_FLOAT_BYTES = 4
_WAYS = 3
_BEARABLE_LOSS = 0.05  # share of engagements whose ids may lose their row before a smaller dim is the cheaper way


@dataclasses.dataclass(frozen=True)
class Layout:
    """The tables of a run.

    Attributes:
      rows: table -> rows.
      dim: columns of each.
      optimizer, l2, rarity_power: as in the configuration; they decide the state beside each row.
    """

    rows: dict[str, int]
    dim: int
    optimizer: str
    l2: float = 0.0
    rarity_power: float = 0.0

    def weights(self, table: str) -> int:
        """Bytes of the rows."""
        return self.rows[table] * self.dim * _FLOAT_BYTES

    def slots(self, table: str) -> int:
        """Bytes of the optimizer's state."""
        optimizer = make_optimizer(self.optimizer, l2=self.l2, rarity_power=self.rarity_power)
        columns = sum(slot.columns for slot in optimizer.slots(self.dim).values())
        return self.rows[table] * columns * _FLOAT_BYTES

    def need(self, device: Device) -> int:
        """Bytes that the device must hold: a copy for each replica; on the host also the rows as they are drawn."""
        drawn = max(map(self.weights, self.rows)) if device.host else 0
        return device.replicas * sum(self.weights(table) + self.slots(table) for table in self.rows) + drawn

    def fits(self, devices: Sequence[Device]) -> bool:
        return all(self.need(device) <= device.free * (1 - RESERVE) for device in devices)


def layout_of(config: Config, dataset: Dataset) -> Layout:
    """The tables that the configuration asks for."""
    rows = {name: dataset.rows(name) for name in dataset.schema.id_spaces}
    settings = config.pretraining
    return Layout(rows, settings.dim, settings.optimizer, settings.embedding_l2, settings.l2_rarity_power)


def plan_table(layout: Layout, devices: Sequence[Device]) -> Table:
    """The plan for the console."""
    table = Table("table", "rows x dim", "weights", f"{layout.optimizer} state", "in all", title="Memory plan",
                  title_justify="left")
    for name, rows in layout.rows.items():
        weights, slots = layout.weights(name), layout.slots(name)
        table.add_row(name, f"{rows:,} x {layout.dim}", *map(size, (weights, slots, weights + slots)))
    for device in devices:
        copies = f"{device.replicas} copies" if device.replicas > 1 else "1 copy"
        table.add_row(f"on {device.name}", copies, "", f"of {size(device.free)} free", size(layout.need(device)))
    return table


def check_fits(layout: Layout, devices: Sequence[Device], counts: Callable[[str], np.ndarray]) -> None:
    """Refuses a plan that cannot work.

    Args:
      layout: the plan.
      devices: all must hold it.
      counts: table -> int64 [ids], engagements of each id, falling.

    Raises:
      UserError: a device is too small; the message names the three cheapest ways out, each of which fits.
    """
    if layout.fits(devices):
        return
    worst = max(devices, key=lambda device: layout.need(device) / max(device.free, 1))
    found = [way for _, way in zip(range(_WAYS), ways_out(layout, devices, counts), strict=False)]
    ways = "; or ".join(f"set {way}" for way in found) or "use a larger device: not even one column a row would fit"
    raise UserError(f"the tables need {size(layout.need(worst))} on {worst.name}, which has {size(worst.free)} free "
                    f"({RESERVE:.0%} is kept for batches): {ways}")


def ways_out(layout: Layout, devices: Sequence[Device], counts: Callable[[str], np.ndarray]) -> Iterator[str]:
    """Changes that make a plan fit, the cheapest first: less state, then fewer rows or columns, then both."""
    lean = dataclasses.replace(layout, optimizer=SMALLEST_STATE)
    state = f"pretraining.optimizer={SMALLEST_STATE}"
    if lean.fits(devices):
        yield f"{state} ({_needs(lean, devices)})"
    yield from _smaller(layout, devices, counts, "")
    if layout.optimizer != SMALLEST_STATE:
        yield from _smaller(lean, devices, counts, f"{state} and ")


def _smaller(layout: Layout, devices: Sequence[Device], counts: Callable[[str], np.ndarray],
             prefix: str) -> Iterator[str]:
    if layout.fits(devices):
        return
    ways = []
    dim = _largest(layout.dim, lambda dim: dataclasses.replace(layout, dim=dim).fits(devices))
    dim -= dim % 8 if dim > 8 else 0
    if dim:
        narrow = dataclasses.replace(layout, dim=dim)
        ways.append((_BEARABLE_LOSS, f"{prefix}pretraining.dim={dim} ({_needs(narrow, devices)})"))
    largest = max(layout.rows, key=lambda name: layout.rows[name])
    known = counts(largest)
    shared = layout.rows[largest] - len(known)

    def cut(ids: int) -> Layout:
        return dataclasses.replace(layout, rows=layout.rows | {largest: shared + ids})

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


def show_plan(config: Config, dataset: Dataset, devices: Sequence[Device]) -> None:
    """Prints the plan and refuses one that cannot fit.

    Raises:
      UserError: a device is too small.
    """
    layout = layout_of(config, dataset)
    console.print(plan_table(layout, devices))
    check_fits(layout, devices, lambda name: dataset.vocabulary(name).counts)
