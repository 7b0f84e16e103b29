"""Decayed counts of the ids of a vocabulary, and the windows in which they were seen."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

NEVER = -1
_COLUMNS = {"decayed_count": "decayed", "first_window": "first", "last_window": "last"}
_WINDOW_ENDS = b"window_ends"


@dataclasses.dataclass(frozen=True)
class Lifetimes:
    """The arrays are in row order, without shared rows.

    Attributes:
      decayed: float64 [n], count over all windows, in which older windows weigh less; 0 at free rows.
      first: int32 [n], number of the window in which an id was admitted, from 0; NEVER at free rows.
      last: int32 [n], number of the last window with an engagement; NEVER at free rows.
      window_ends: end of each window: as declared, or microseconds since 1970-01-01 UTC.
    """

    decayed: np.ndarray
    first: np.ndarray
    last: np.ndarray
    window_ends: tuple[int, ...]

    @classmethod
    def of_first_window(cls, counts: np.ndarray, is_free: np.ndarray, end: int) -> Lifetimes:
        """Lifetimes of a vocabulary of which one window is known.

        Args:
          counts: int64 [n].
          is_free: bool [n], rows of no id.
          end: of the window.
        """
        window = np.where(is_free, NEVER, 0).astype(np.int32)
        return cls(counts.astype(np.float64), window, window.copy(), (end,))

    @property
    def window(self) -> int:
        """Number of the newest window."""
        return len(self.window_ends) - 1

    @classmethod
    def joined(cls, parts: Sequence[Lifetimes]) -> Lifetimes:
        """Lifetimes of parts of a vocabulary, one after another."""
        decayed, first, last = (np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS.values())
        return cls(decayed, first, last, parts[0].window_ends)

    def slice(self, start: int, end: int) -> Lifetimes:
        """Lifetimes of the positions ``start`` to ``end - 1``."""
        return Lifetimes(self.decayed[start:end], self.first[start:end], self.last[start:end], self.window_ends)

    def with_freed(self, is_freed: np.ndarray) -> Lifetimes:
        """Lifetimes without the ids at some rows, bool [n]."""
        return Lifetimes(np.where(is_freed, 0.0, self.decayed), np.where(is_freed, np.int32(NEVER), self.first),
                         np.where(is_freed, np.int32(NEVER), self.last), self.window_ends)

    def columns(self) -> dict[str, np.ndarray]:
        """Column of the vocabulary file -> its values."""
        return {column: getattr(self, name) for column, name in _COLUMNS.items()}

    def metadata(self) -> dict[str, str]:
        """Metadata of the vocabulary file."""
        return {_WINDOW_ENDS.decode(): json.dumps(self.window_ends)}

    @staticmethod
    def newest_window(metadata: Mapping[bytes, bytes]) -> tuple[str | None, int]:
        """Column of a vocabulary file with the last window of each id (None without lifetimes), and the newest."""
        if _WINDOW_ENDS not in metadata:
            return None, NEVER
        return "last_window", len(json.loads(metadata[_WINDOW_ENDS])) - 1

    @classmethod
    def from_table(cls, table: pa.Table, metadata: Mapping[bytes, bytes]) -> Lifetimes | None:
        """Reads the lifetimes of a vocabulary file; None if it has none.

        Raises:
          KeyError: a column is missing.
          ValueError: the window ends are unreadable.
        """
        if _WINDOW_ENDS not in metadata:
            return None
        arrays = {name: table[column].to_numpy() for column, name in _COLUMNS.items()}
        return cls(**arrays, window_ends=tuple(int(end) for end in json.loads(metadata[_WINDOW_ENDS])))
