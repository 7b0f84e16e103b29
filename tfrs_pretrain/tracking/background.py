"""A thread per tracker: the stage neither waits for a tracker nor fails with it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from tfrs_pretrain.progress import print_warning
from tfrs_pretrain.tracking.tracker import Tracker

MAX_WAITING = 10_000  # events
CLOSING_SECONDS = 15.0


class Background:
    """Passes events to a tracker in a thread; prints one line if it fails or does not keep up.

    Args:
      name: of the tracker, for the line.
      create: creates the tracker; called in the thread.
    """

    def __init__(self, name: str, create: Callable[[], Tracker]):
        self._name, self._create = name, create
        self._events: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue(MAX_WAITING)
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def send(self, event: str, *arguments: Any) -> None:
        """Calls a method of the tracker some time later; does nothing after a failure."""
        try:
            if not self._has_failed:
                self._events.put_nowait((event, arguments))
        except queue.Full:
            self._fail("it does not keep up")

    def close(self, deadline: float) -> None:
        """Waits until the events have been passed on, or until a time of ``time.monotonic``."""
        try:
            self._events.put_nowait(None)
        except queue.Full:
            self._fail("it does not keep up")
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._fail("it has not answered in time")

    def _run(self) -> None:
        try:
            tracker = self._create()
            while (event := self._events.get()) is not None:
                getattr(tracker, event[0])(*event[1])
        except BaseException as error:  # a library of others may raise anything
            self._fail(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")

    def _fail(self, reason: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            print_warning(f"tracker {self._name}: {reason}; this run is tracked no further by it, and continues")
