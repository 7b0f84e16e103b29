"""Bounded load: a fixed number of requests by a fixed number of clients, with every answer compared."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Client, RequestError
from tfrs_pretrain.serving.verification.differences import max_difference
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay
from tfrs_pretrain.serving.verification.result import LoadResult

MAX_CLIENTS, MAX_REQUESTS = 128, 1_000_000
PERCENTILES = (50, 95, 99)
DIFFERENT_ANSWER = "different answer"


@dataclasses.dataclass(frozen=True)
class LoadSpec:
    """Size of the load.

    Attributes:
      requests: total number of requests; 0: no load.
      concurrency: number of clients; each sends one request after another.
      max_qps: max requests per second of all clients together; None: no limit.

    Raises:
      UserError: a number is out of bounds.
    """

    requests: int = 200
    concurrency: int = 4
    max_qps: float | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.requests <= MAX_REQUESTS and 1 <= self.concurrency <= MAX_CLIENTS):
            raise UserError(f"load of {self.requests} requests by {self.concurrency} clients: expected up to "
                            f"{MAX_REQUESTS} requests and 1 to {MAX_CLIENTS} clients")
        if self.max_qps is not None and self.max_qps <= 0:
            raise UserError(f"load of at most {self.max_qps:g} requests a second: expected more than 0")


def measure_load(connect: Callable[[], Client], golden: GoldenReplay, load: LoadSpec, tolerance: float) -> LoadResult:
    """Sends the same request many times and measures latency and throughput.

    Args:
      connect: creates a client for each thread; without retries, so that every error is counted.
      golden: the request, and its expected answer.
      load: number of requests and clients, at least one request.
      tolerance: max absolute difference of an answer.
    """
    tickets, seconds, failures = itertools.count(), list[float](), collections.Counter[str]()
    lock, start = threading.Lock(), time.monotonic()

    def work() -> None:
        with connect() as client:
            # next() on a count is atomic in CPython.
            while (ticket := next(tickets)) < load.requests:
                if load.max_qps:
                    time.sleep(max(0.0, start + ticket / load.max_qps - time.monotonic()))
                begin = time.perf_counter()
                failure = _failure(client, golden, tolerance)
                latency = time.perf_counter() - begin
                with lock:
                    seconds.append(latency)
                    failures.update([failure] if failure else [])

    threads = [threading.Thread(target=work) for _ in range(load.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - start
    return LoadResult(golden.signature, golden.num_rows, load.concurrency, len(seconds), latency_ms(seconds),
                      len(seconds) / elapsed, dict(failures))


def latency_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Returns percentiles and maximum of latencies, in milliseconds."""
    percentiles = {f"p{percent}": float(np.percentile(seconds, percent)) * 1e3 for percent in PERCENTILES}
    return {**percentiles, "max": max(seconds) * 1e3}


def _failure(client: Client, golden: GoldenReplay, tolerance: float) -> str | None:
    try:
        difference = max_difference(golden.outputs, golden.send(client))
    except RequestError as error:
        return error.code
    return None if not isinstance(difference, str) and difference <= tolerance else DIFFERENT_ANSWER
