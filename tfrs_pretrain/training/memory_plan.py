"""The memory that a stage needs for its tables and networks."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from tfrs_pretrain.embeddings.sparse_optimizer import SparseOptimizer
from tfrs_pretrain.training.devices import Device

RESERVE = 0.1  # share of a device's memory left for batches, the runtime and fragmentation
_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class TableMemory:
    """The width of one embedding table.

    Attributes:
      name: for display.
      vocabulary: name of the vocabulary whose ids its rows represent.
      dim: float32 values per row.
      state: float32 values of optimizer state per row.
      owner: tables of one owner are initialised together on the host before they are placed on the device.
      table: its name in ``training.placement``; empty: ``name``.
    """

    name: str
    vocabulary: str
    dim: int
    state: int
    owner: str
    table: str = ""

    @classmethod
    def for_optimizer(cls, name: str, vocabulary: str, dim: int, optimizer: SparseOptimizer,
                      owner: str) -> TableMemory:
        """A table trained by an optimizer."""
        return cls(name, vocabulary, dim, sum(spec.width for spec in optimizer.slot_specs(dim).values()), owner)

    @property
    def placed(self) -> str:
        """Name of the table whose placement this one has."""
        return self.table or self.name


@dataclasses.dataclass(frozen=True)
class MemoryLayout:
    """What each replica keeps in memory.

    Attributes:
      num_rows: vocabulary -> rows of its tables.
      tables: all tables.
      dense: bytes of the networks and their optimizers' state.
      sharded: names of the tables that are dealt over the replicas.
      replicas: replicas on all devices.
      host: names of the tables in host memory.
    """

    num_rows: Mapping[str, int] = dataclasses.field(hash=False)
    tables: tuple[TableMemory, ...]
    dense: int = 0
    sharded: frozenset[str] = frozenset()
    replicas: int = 1
    host: frozenset[str] = frozenset()

    def weights(self, table: TableMemory) -> int:
        """Bytes of a table's weights."""
        return self.num_rows[table.vocabulary] * table.dim * _FLOAT_BYTES

    def state(self, table: TableMemory) -> int:
        """Bytes of a table's optimizer state."""
        return self.num_rows[table.vocabulary] * table.state * _FLOAT_BYTES

    def bytes_on(self, device: Device) -> int:
        """Bytes needed on a device: what replicas store; on the host also its tables and one owner's initial rows."""
        initial: dict[str, int] = {}
        for table in self.tables:
            initial[table.owner] = initial.get(table.owner, 0) + self.weights(table)
        on_host = [table for table in self.tables if table.placed in self.host]
        replica = self.dense + sum(self._stored(table) for table in self.tables if table not in on_host)
        shared = sum(self.weights(table) + self.state(table) for table in on_host) + max(initial.values(), default=0)
        return device.replicas * replica + (shared if device.host else 0)

    def _stored(self, table: TableMemory) -> int:
        """Bytes of a table's weights and state on each replica."""
        shards = self.replicas if table.placed in self.sharded else 1
        return -(-self.num_rows[table.vocabulary] // shards) * (table.dim + table.state) * _FLOAT_BYTES

    def fits(self, devices: Sequence[Device]) -> bool:
        """Whether every device has room, with ``RESERVE`` to spare."""
        return all(self.bytes_on(device) <= device.free * (1 - RESERVE) for device in devices)


@dataclasses.dataclass(frozen=True)
class PlanSettings:
    """The settings that change a layout but not the method.

    Attributes:
      optimizer: name of the tables' optimizer.
      dim: width of the ID tables.
      num_rows: vocabulary -> rows.
      sharded: names of the tables that are dealt over the replicas.
      replicas: replicas on all devices.
      host: names of the tables in host memory.
    """

    optimizer: str
    dim: int
    num_rows: Mapping[str, int]
    sharded: frozenset[str] = frozenset()
    replicas: int = 1
    host: frozenset[str] = frozenset()


class MemoryPlan(abc.ABC):
    """The memory layout of a stage as a function of its settings.

    Attributes:
      title: of the table on the console.
      settings: those of the configuration.
      optimizer_key: configuration key of the tables' optimizer.
      id_spaces: vocabularies of the ID tables.
      notes: lines to show below the plan.
    """

    title: str
    settings: PlanSettings
    optimizer_key: str
    id_spaces: Sequence[str]
    notes: tuple[str, ...] = ()

    @abc.abstractmethod
    def layout(self, settings: PlanSettings) -> MemoryLayout:
        """The stage's layout under these settings."""

    @abc.abstractmethod
    def dim_setting(self, dim: int) -> str:
        """The configuration overrides for ID tables of width ``dim``."""

    def without_components(self) -> Iterable[tuple[str, MemoryPlan]]:
        """Plans that omit one component of the method, each with its configuration override."""
        return ()
