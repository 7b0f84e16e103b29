"""Limits on inputs: small files or single lines that would fill the memory are not read into it."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from tfrs_pretrain.errors import UserError

OVERSIZED_LINE = "oversized line"
UNCHECKED_BYTES = 1 << 24  # of content: less is harmless at any ratio, and the ratio of a short content says little
SHOWN_BYTES = 200  # of an oversized line, in the dead letter
SKIPPED_BYTES = 1 << 20  # of an oversized line in memory at once


def bounded_lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Yields the lines of a file; of a line of more than ``max_bytes`` bytes only the first ``max_bytes + 1``."""
    while line := file.readline(max_bytes + 1):
        yield line
        if len(line) > max_bytes:
            while line and not line.endswith(b"\n"):
                line = file.readline(SKIPPED_BYTES)


def shown_part(line: bytes) -> str:
    """Returns the beginning of an oversized line, for the dead letter."""
    return f"{line[:SHOWN_BYTES].decode(errors='replace')}…"


def check_ratio(path: str, content_bytes: int, compressed_bytes: int, max_ratio: float) -> None:
    """Checks the ratio of content to compressed size.

    Raises:
      UserError: the ratio exceeds ``max_ratio`` and the content ``UNCHECKED_BYTES``.
    """
    if content_bytes >= UNCHECKED_BYTES and content_bytes > max_ratio * compressed_bytes:
        raise UserError(f"{path!r}: {compressed_bytes} compressed bytes contain at least {content_bytes} bytes, more "
                        f"than dataset.max_decompression_ratio = {max_ratio:g} accepts; raise it if the content is "
                        "right")


class LimitedFile:
    """Lines of a compressed file; checks the ratio once for each ``UNCHECKED_BYTES`` of content.

    Args:
      path: for messages.
      compressed: compressed file.
      content: the same, decompressed.
      max_ratio: see ``check_ratio``.
    """

    def __init__(self, path: str, compressed: BinaryIO, content: Any, max_ratio: float):
        self._path, self._compressed, self._content, self._max_ratio = path, compressed, content, max_ratio
        self._num_bytes, self._next_check = 0, UNCHECKED_BYTES

    def readline(self, size: int = -1) -> bytes:
        """Reads a line, or the next ``size`` bytes of it."""
        return self._count(self._content.readline(size))

    def read(self, size: int = -1) -> bytes:
        """Reads ``size`` bytes."""
        return self._count(self._content.read(size))

    def _count(self, line: bytes) -> bytes:
        self._num_bytes += len(line)
        if self._num_bytes >= self._next_check:
            self._next_check += UNCHECKED_BYTES
            check_ratio(self._path, self._num_bytes, self._compressed.tell(), self._max_ratio)
        return line
