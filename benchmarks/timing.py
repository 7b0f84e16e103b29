"""Interleaved timing: contenders take turns, so that other load on the machine affects all of them equally."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def interleaved(contenders: dict[str, Callable[[int], None]], *, rounds: int, warmup: int = 2) -> dict[str, float]:
    """Returns the median seconds of one call of each contender; see ``interleaved_rounds``."""
    return {name: statistics.median(seconds)
            for name, seconds in interleaved_rounds(contenders, rounds=rounds, warmup=warmup).items()}


def interleaved_rounds(contenders: dict[str, Callable[[int], None]], *, rounds: int, warmup: int = 2,
                       clock: Callable[[], float] = time.perf_counter) -> dict[str, list[float]]:
    """Returns the seconds of each contender's call in each round.

    Args:
      contenders: name -> function of the round's number; each runs once per round, in an order that rotates.
      rounds: measured rounds.
      warmup: unmeasured rounds before them (tracing, first use of memory).
      clock: ``time.process_time`` to measure the processor's time, which other processes disturb less.
    """
    names, times = list(contenders), {name: [] for name in contenders}
    for number in range(warmup + rounds):
        for name in names[number % len(names):] + names[:number % len(names)]:
            start = clock()
            contenders[name](number)
            if number >= warmup:
                times[name].append(clock() - start)
    return times
