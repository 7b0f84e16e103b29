"""Rules by which ids leave a vocabulary that a later window extends."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from tfrs_pretrain.lifetimes import NEVER

Eviction = Literal["least_recent", "least_frequent"]


@dataclasses.dataclass(frozen=True)
class LifecycleRules:
    """Which ids leave a vocabulary when a later window extends it.

    Attributes:
      decay: weight of the earlier count in the new one: ``decay * earlier + count in the window``.
      ttl_windows: an id expires after this number of windows in a row without an engagement; None: never.
      ttl_time: an id expires if the window in which it was last seen ended at least this many microseconds before the
        end of the new window; None: never.
      eviction: which ids make room when the vocabulary is full; None: a full vocabulary admits no id.
    """

    decay: float = 0.0
    ttl_windows: int | None = None
    ttl_time: int | None = None
    eviction: Eviction | None = None

    def expired(self, last: np.ndarray, window_ends: tuple[int, ...]) -> np.ndarray:
        """bool [n]: an id that was last seen in window ``last``, int32 [n], expires at the last window end."""
        expired = np.zeros(len(last), bool)
        if self.ttl_windows is not None:
            expired |= len(window_ends) - 1 - last >= self.ttl_windows
        if self.ttl_time is not None:
            ends = np.array(window_ends, np.int64)
            expired |= ends[-1] - ends[last] >= self.ttl_time
        expired &= last != NEVER
        return expired
