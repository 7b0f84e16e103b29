"""Beam's buffers between two steps, with limited memory: the same elements and groups in the same order."""

import collections
import struct
from collections.abc import Iterator
from typing import Any

from apache_beam.coders.coder_impl import CoderImpl
from apache_beam.runners.portability.fn_api_runner.execution import Buffer, GroupingBuffer, ListBuffer

from beam_pipelines.jobs.spill_store import Block, Chunks, SpillFile, SpillStore

CHUNK_BYTES = 8 << 20  # of small groups that are sent together
COUNT = struct.Struct(">i")  # of values, before the values of a group


def spilling(buffer: Any, store: SpillStore) -> Any:
    """Returns an empty buffer like a new one of Beam; one that groups in windows remains Beam's."""
    if type(buffer) is ListBuffer:
        return SpillingListBuffer(buffer._coder_impl, store)
    if type(buffer) is GroupingBuffer and buffer._windowing.is_default():
        return SpillingGroupingBuffer(buffer, store)
    return buffer


class SpillingListBuffer(ListBuffer):
    """Elements in chunks, some of them in a temporary file."""

    def __init__(self, coder_impl: CoderImpl, store: SpillStore):
        super().__init__(coder_impl)
        self._store = store
        self._inputs: Any = Chunks(store)

    def copy(self) -> "SpillingListBuffer":
        copied = SpillingListBuffer(self._coder_impl, self._store)
        copied._inputs.extend(self._inputs)
        return copied

    def clear(self) -> None:
        super().clear()
        self._inputs = Chunks(self._store)


class SpillingGroupingBuffer(GroupingBuffer):
    """Groups by key. If the values in memory exceed the limit, those of each key are appended to a temporary file.

    Keys remain in memory, each with the places of its values.
    """

    def __init__(self, buffer: GroupingBuffer, store: SpillStore):
        super().__init__(buffer._pre_grouped_coder, buffer._post_grouped_coder, buffer._windowing)
        self._values_coder: CoderImpl = self._post_grouped_coder.wrapped_value_coder.value_coder().get_impl()
        self._store, self._num_bytes = store, 0
        self._file: SpillFile | None = None
        self._blocks: dict[bytes, list[Block]] = collections.defaultdict(list)
        self._num_spilled: dict[bytes, int] = collections.defaultdict(int)

    def append(self, elements_data: bytes) -> None:
        super().append(elements_data)
        self._num_bytes += len(elements_data)
        if self._num_bytes > self._store.max_bytes:
            self._spill()

    def _spill(self) -> None:
        self._file = self._file or self._store.file()
        for key, values in self._table.items():
            if values:
                self._blocks[key].append(self._file.write(self._encoded(values)))
                self._num_spilled[key] += len(values)
                values.clear()  # the key stays: groups are in the order of their first values
        self._num_bytes = 0

    def _encoded(self, values: list[Any]) -> bytes:
        encoded: bytes = self._values_coder.encode(values)
        return encoded[COUNT.size:]

    def extend(self, input_buffer: Buffer) -> None:
        if isinstance(input_buffer, SpillingGroupingBuffer) and input_buffer._blocks:
            self._spill()
            for key, blocks in input_buffer._blocks.items():
                self._blocks[key].extend(blocks)
                self._num_spilled[key] += input_buffer._num_spilled[key]
        super().extend(input_buffer)

    def partition(self, n: int) -> Any:
        """Returns n iterables of chunks, which are made when they are read."""
        self._grouped_output: Any = self._grouped_output or [_Groups(self, part, n) for part in range(n)]
        return self._grouped_output

    def groups(self, part: int, number: int) -> Iterator[bytes]:
        """Yields every ``number``-th group from ``part`` on, encoded."""
        for index, (key, values) in enumerate(self._table.items()):
            if index % number == part:
                yield self._group(key, values)

    def _group(self, key: bytes, values: list[Any]) -> bytes:
        count = COUNT.pack(self._num_spilled.get(key, 0) + len(values))
        return b"".join([self._header(key), count, *(block.load() for block in self._blocks.get(key, ())),
                         self._encoded(values)])

    def _header(self, key: bytes) -> bytes:
        """Returns Beam's encoding of a group without values, up to their count."""
        empty = GroupingBuffer(self._pre_grouped_coder, self._post_grouped_coder, self._windowing)
        assert empty._table[key] == []
        [[encoded]] = empty.partition(1)
        if not encoded.endswith(COUNT.pack(0)):
            raise RuntimeError("Beam encodes groups in an unknown form")
        return bytes(encoded[:-COUNT.size])


class _Groups:
    """The groups of one part, in chunks."""

    def __init__(self, buffer: SpillingGroupingBuffer, part: int, number: int):
        self._buffer, self._part, self._number = buffer, part, number

    def __iter__(self) -> Iterator[bytes]:
        pending: list[bytes] = []
        for group in self._buffer.groups(self._part, self._number):
            pending.append(group)
            if sum(map(len, pending)) >= CHUNK_BYTES:
                yield b"".join(pending)
                pending.clear()
        if pending:
            yield b"".join(pending)
