"""The memory of the process that runs a stage, beside what its plan counts on each device.

The constants are measured by ``benchmarks/memory_plan.py`` on CPUs.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tfrs_pretrain.array_files import BLOCK_ROWS
from tfrs_pretrain.stages import peak_rss_bytes

RUNTIME_BYTES = 130_000_000  # TensorFlow's traced graphs and threads, the input pipeline, and what they leave free
BYTES_PER_ID = 40  # of vocabularies with their counts, and of what is computed for each id
BLOCKS = 4  # of rows, in the threads that write a checkpoint
BATCH_COPIES = 10  # of the rows of a batch: gathered, their gradients, sorted, and updated with the optimizer's state
_FLOAT_BYTES = 4
_STATM = Path("/proc/self/statm")


@dataclasses.dataclass(frozen=True)
class WorkingMemory:
    """What a stage's process needs in host memory beside tables and networks.

    Attributes:
      num_ids: ids of all vocabularies.
      batch_values: float32 values of the rows that a batch reads.
      dim: columns of the widest table.
      evaluated_values: float32 values of tables that an evaluation copies.
    """

    num_ids: int
    batch_values: int
    dim: int
    evaluated_values: int = 0

    @property
    def num_bytes(self) -> int:
        """Bytes in all."""
        values = BLOCKS * BLOCK_ROWS * self.dim + BATCH_COPIES * self.batch_values + self.evaluated_values
        return RUNTIME_BYTES + BYTES_PER_ID * self.num_ids + _FLOAT_BYTES * values


def resident_bytes() -> int:
    """Bytes of memory that this process has; its peak where the system does not tell (macOS)."""
    if not _STATM.is_file():
        return peak_rss_bytes()
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
