"""SIGTERM as a wish to stop at the next good moment instead of an end in the middle."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM  # 143, what a shell reports for a process that SIGTERM ended


class Termination:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def noticing_sigterm() -> Iterator[Termination]:
    """While the body runs, the first SIGTERM only sets ``requested``; a second one ends the process at once.

    Only the main thread can handle signals: elsewhere SIGTERM keeps its usual effect.
    """
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return

    def notice(number: int, frame: FrameType | None) -> None:
        termination.requested = True
        signal.signal(signal.SIGTERM, previous)

    previous = signal.signal(signal.SIGTERM, notice)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, previous)
