"""Standard output and error as streams on which a failed write stops no work."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

# One column each, so that tables stay aligned. Other characters that the encoding lacks become "?".
_SUBSTITUTES = str.maketrans({"✓": "+", "✗": "x", "→": ">", "—": "-", "…": ".", "·": "-"})


class LenientStream(io.TextIOBase):
    """Writes to the current ``sys.stdout`` or ``sys.stderr`` and never raises.

    Characters that the encoding lacks are replaced. After an error such as a full disk or a reader that has ended
    (``| head``), the rest of the text is discarded.

    Args:
      name: "stdout" or "stderr".

    Attributes:
      error: the first error that lost text; None for a reader that has ended, which wants no more text.
    """

    def __init__(self, name: str):
        self._name = name
        self.error: Exception | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the current stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write text and return its length."""
        with self._discarding_errors() as stream:
            stream.write(encodable(text, self.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush the current stream."""
        with self._discarding_errors() as stream:
            stream.flush()

    def isatty(self) -> bool:
        """Whether the current stream is a terminal."""
        with self._discarding_errors() as stream:
            return stream.isatty()
        return False

    def fileno(self) -> int:
        """File descriptor of the current stream."""
        return self._stream.fileno()

    @property
    def _stream(self) -> TextIO:
        stream = getattr(sys, self._name)
        # While a progress bar runs, Rich replaces the stream by one that writes to the console, and so back here.
        stream = getattr(stream, "rich_proxied_file", stream)
        return io.StringIO() if stream is None else stream  # None: closed before the process started

    @contextlib.contextmanager
    def _discarding_errors(self) -> Iterator[TextIO]:
        stream = self._stream
        try:
            yield stream
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            if not isinstance(error, BrokenPipeError):
                self.error = self.error or error
            _discard_output_of(stream)


def encodable(text: str, encoding: str) -> str:
    """Replace the characters that an encoding lacks."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_SUBSTITUTES).encode(encoding, "replace").decode(encoding)
    return text


def open_closed_streams() -> None:
    """Open the null device for each standard stream that was closed (``>&-``).

    Otherwise the next file that the process opens would get the number of the stream, and the messages of C++
    libraries would be written into that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one


def _discard_output_of(stream: TextIO) -> None:
    """Redirect a stream to the null device, so that its buffered text raises no second error at exit."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
