"""Retries of failed requests with exponential backoff, within one deadline."""

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
    """Exponential backoff with jitter after UNAVAILABLE and RESOURCE_EXHAUSTED; other errors are not retried.

    Attributes:
      max_attempts: max number of requests, including the first.
      initial_backoff: max seconds before the second attempt; doubles with every further attempt.
      max_backoff: max seconds between two attempts.
    """

    max_attempts: int = 4
    initial_backoff: float = 0.05
    max_backoff: float = 1.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.initial_backoff < 0 or self.max_backoff < 0:
            raise UserError(f"{self} is impossible: expected max_attempts of at least 1 and backoffs of at least 0 s")

    def run(self, call: Callable[[float], T], timeout: float) -> T:
        """Calls a function until it succeeds.

        Args:
          call: one attempt; it is called with the seconds that are left and must end within them.
          timeout: seconds for all attempts and pauses.

        Returns:
          The first result of ``call``.

        Raises:
          RequestError: error of the last attempt.
        """
        deadline, attempt = time.monotonic() + timeout, 1
        while True:
            try:
                return call(max(deadline - time.monotonic(), 1e-3))
            except RequestError as error:
                pause = self._backoff(attempt)
                if (error.code not in RETRYABLE_CODES or attempt == self.max_attempts
                        or time.monotonic() + pause >= deadline):
                    raise
            time.sleep(pause)
            attempt += 1

    def _backoff(self, attempt: int) -> float:
        """Seconds to wait after an attempt; half of it is random, so that clients do not retry all at once."""
        return min(self.max_backoff, self.initial_backoff * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1)
