"""Tries again where the server may answer later, within one deadline."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable
from typing import TypeVar

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.errors import RETRYABLE_CODES, RequestError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """Exponential pauses with jitter after UNAVAILABLE and RESOURCE_EXHAUSTED; other answers stand.

    Attributes:
      attempts: requests in all, the first included.
      pause: seconds before the second attempt, at most; each later one doubles, up to ``longest``.
      longest: seconds.
    """

    attempts: int = 4
    pause: float = 0.05
    longest: float = 1.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.pause < 0 or self.longest < 0:
            raise UserError(f"{self} is impossible: expected attempts of at least 1 and pauses of at least 0 s")

    def run(self, call: Callable[[float], T], timeout: float) -> T:
        """The first result of ``call(seconds left)``.

        Args:
          call: one attempt, which must end within the seconds that it is given.
          timeout: seconds for all attempts and pauses.

        Raises:
          RequestError: that of the last attempt.
        """
        end, attempt = time.monotonic() + timeout, 1
        while True:
            try:
                return call(max(end - time.monotonic(), 1e-3))
            except RequestError as error:
                # Half of the pause is drawn, so that clients which failed together do not return together.
                pause = min(self.longest, self.pause * 2 ** (attempt - 1)) * random.uniform(0.5, 1)
                if error.code not in RETRYABLE_CODES or attempt == self.attempts or time.monotonic() + pause >= end:
                    raise
            time.sleep(pause)
            attempt += 1
