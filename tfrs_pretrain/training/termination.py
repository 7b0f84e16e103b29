"""Turn SIGTERM into a graceful stop at the next safe point."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM  # 143, the code that a shell reports for a process ended by SIGTERM


class Termination:
    """Whether SIGTERM was received.

    Attributes:
      requested: becomes true at the first SIGTERM.
    """

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def graceful_sigterm() -> Iterator[Termination]:
    """While the body runs, the first SIGTERM only sets ``requested``; the second one has its usual effect.

    The body must check ``requested`` at its safe points (a checkpoint, for example) and then leave with
    ``SystemExit(EXIT_CODE)``. Only the main thread can handle signals: in another thread SIGTERM keeps its usual effect
    and ``requested`` stays false.
    """
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return

    def request(number: int, frame: FrameType | None) -> None:
        termination.requested = True
        signal.signal(signal.SIGTERM, previous)

    previous = signal.signal(signal.SIGTERM, request)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, previous)
