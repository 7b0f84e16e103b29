"""Requests and pushes that go on at the same time."""

from __future__ import annotations

import os
import threading
import time

from memory_deltas import in_order
from serving import NAME, Raw

from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, RequestError
from tfrs_pretrain.serving.protocol.signature_names import RANK
from tfrs_pretrain.serving.pushing.chunks import Chunk
from tfrs_pretrain.serving.pushing.sender import Sender


class Readers:
    """Clients that send requests until they are stopped, and compare the answers with those of known states.

    Args:
      server: gRPC address.
      requests: requests, in turns.
      expected: for each request the scores of each state, as bytes.
    """

    def __init__(self, server: str, requests: list[Raw], expected: list[list[bytes]]):
        self._server, self._requests, self._expected = server, requests, expected
        self.sent = self.failed = self.other = 0
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._read, args=[first]) for first in range(os.cpu_count() or 1)]

    def _read(self, number: int) -> None:
        with GrpcClient(self._server, Model(NAME), timeout=60) as client:
            while not self._stop.is_set():
                number = (number + 1) % len(self._requests)
                self._count(number, client)

    def _count(self, number: int, client: GrpcClient) -> None:
        try:
            answer = client.predict(Predict(self._requests[number], RANK))["score"].tobytes()
            failed = False
        except RequestError:
            failed = True
        with self._lock:
            self.sent += 1
            self.failed += failed
            self.other += not failed and answer not in self._expected[number]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Pusher:
    """Pushes two deltas in turns and times them."""

    def __init__(self, sender: Sender, deltas: list[list[Chunk]]):
        self._sender, self._deltas, self._number = sender, deltas, 0

    def push(self) -> float:
        """Returns the seconds of one push, after the grace period."""
        version = self._sender.state().version
        self._sender.settle()
        chunks = list(in_order(self._deltas[self._number % 2], version, self._number))
        start = time.perf_counter()
        self._sender.send(chunks)
        self._number += 1
        return time.perf_counter() - start
