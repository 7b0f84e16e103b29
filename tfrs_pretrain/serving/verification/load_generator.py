"""Bounded load: a fixed number of requests from a fixed number of clients, each answer compared."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Client, RequestError
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay
from tfrs_pretrain.serving.verification.server_checks import largest_difference

MAX_CLIENTS, MAX_REQUESTS = 128, 1_000_000
PERCENTILES = (50, 95, 99)


@dataclasses.dataclass(frozen=True)
class LoadSpec:
    """How much is asked.

    Attributes:
      requests: in all; 0 measures nothing.
      concurrency: clients that ask one after another.
      max_qps: requests a second at most, all clients together; None: as fast as the server answers.
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


def measure_load(connect: Callable[[], Client], golden: GoldenReplay, load: LoadSpec, tolerance: float
                 ) -> dict[str, Any]:
    """JSON: latencies in milliseconds, requests a second, failures by code, answers that differ.

    Args:
      connect: makes a client; each thread has its own, without retries, so that every refusal is counted.
      golden: what is asked, and what must come back.
      load: how often and how fast.
      tolerance: of the answers.
    """
    tickets, seconds, failures = itertools.count(), list[float](), collections.Counter[str]()
    lock, start = threading.Lock(), time.monotonic()

    def work() -> None:
        with connect() as client:
            # Under CPython one step of a count is atomic.
            while (ticket := next(tickets)) < load.requests:
                if load.max_qps:
                    time.sleep(max(0.0, start + ticket / load.max_qps - time.monotonic()))
                begin = time.perf_counter()
                failure = _ask(client, golden, tolerance)
                took = time.perf_counter() - begin
                with lock:
                    seconds.append(took)
                    failures.update([failure] if failure else [])

    threads = [threading.Thread(target=work) for _ in range(load.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - start
    latency = {f"p{each}_ms": float(np.percentile(seconds, each)) * 1e3 for each in PERCENTILES}
    return {"signature": golden.signature, "rows": golden.rows, "concurrency": load.concurrency,
            "requests": len(seconds), **latency, "max_ms": max(seconds) * 1e3,
            "requests_per_second": len(seconds) / elapsed, "failures": dict(failures)}


def _ask(client: Client, golden: GoldenReplay, tolerance: float) -> str | None:
    try:
        difference = largest_difference(golden.outputs, golden.ask(client))
    except RequestError as error:
        return error.code
    return None if not isinstance(difference, str) and difference <= tolerance else "another answer"

