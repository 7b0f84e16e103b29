"""Variable-length byte strings in one buffer."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class RecordBuffer:
    """Concatenated byte strings (records) with their offsets.

    Attributes:
      data: uint8 [total bytes].
      offsets: int64 [n + 1]; record i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """int64 [n] bytes of each record."""
        return np.diff(self.offsets)

    @classmethod
    def allocate(cls, lengths: np.ndarray) -> "RecordBuffer":
        """Records of int [n] given lengths whose bytes are not initialized."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(np.empty(offsets[-1], np.uint8), offsets)

    def slice(self, start: int, end: int) -> "RecordBuffer":
        """Records ``start`` to ``end`` without copying their bytes."""
        offsets = self.offsets[start:end + 1]
        return RecordBuffer(self.data[offsets[0]:offsets[-1]], offsets - offsets[0])


def scatter(target: np.ndarray, starts: np.ndarray, content: np.ndarray) -> None:
    """Assigns ``target[start:start + width] = row`` for each row of ``content``; copies whole rows, not single bytes.

    Args:
      target: uint8 [total bytes].
      starts: int64 [n].
      content: uint8 [n, width].
    """
    width = content.shape[1]
    if width and len(starts):
        windows: np.ndarray = np.ndarray(len(target) - width + 1, f"V{width}", target, strides=(1,))
        windows[starts] = np.ascontiguousarray(content).view(f"V{width}")[:, 0]


def gather(source: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """Returns uint8 [n, width]: ``source[start:start + width]`` for each of int64 [n] ``starts``."""
    if not width or not len(starts):
        return np.empty((len(starts), width), np.uint8)
    windows: np.ndarray = np.ndarray(len(source) - width + 1, f"V{width}", source, strides=(1,))
    gathered: np.ndarray = windows[starts].view(np.uint8).reshape(len(starts), width)
    return gathered
