"""Sends chunks to a server, and waits where the server must."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Client, Predict, RequestError
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA
from tfrs_pretrain.serving.pushing.chunks import Chunk
from tfrs_pretrain.serving.verification.pushed_state import ServerState, server_state

NO_PLACES = "no free places"
WAIT = ("less than the grace period ago", NO_PLACES)  # parts of the messages of ``apply_delta``


class Sender:
    """Sends chunks one after the other.

    A request that began before an epoch was seen ends within the grace period, and afterwards the epoch is settled.

    Args:
      client: client of the version.
      key: what ``read_key`` returned.
      grace: longest time that a request takes, in seconds.
      sleep: waits for some seconds.

    Attributes:
      sent: number of applied chunks.
    """

    def __init__(self, client: Client, key: bytes, grace: float, sleep: Callable[[float], None] = time.sleep):
        self._client, self._key, self._grace, self._sleep = client, key, grace, sleep
        self._seen: list[tuple[float, int]] = []
        self.sent = 0

    def state(self) -> ServerState:
        """Returns the state of the server."""
        state = server_state(self._client)
        self._saw(state.epoch)
        return state

    def send(self, chunks: Iterable[Chunk]) -> None:
        """Sends chunks.

        Raises:
          UserError: the model has too few spare places.
          RequestError: the server refuses a chunk or does not answer.
        """
        for chunk in chunks:
            self._send(chunk)
            self.sent += 1

    def settle(self) -> None:
        """Waits until the last epoch that was seen is settled."""
        if self._seen:
            self._sleep(max(0.0, self._seen[-1][0] + self._grace + 1e-3 - time.monotonic()))

    def _send(self, chunk: Chunk) -> None:
        for last in (False, True):
            try:
                return self._request(chunk)
            except RequestError as error:
                if chunk.successor != chunk.predecessor and self.state().version == chunk.successor:
                    return None  # applied, but the answer was lost
                if last and NO_PLACES in error.message:
                    raise UserError(f"the served model has too few spare places ({error}): export a full version with "
                                    "live updates, perhaps with a larger export.live_spare") from error
                if last or not any(text in error.message for text in WAIT):
                    raise
            # What was sent so far becomes visible, so that its old places become free; likewise what another client or
            # a call that the server canceled has left.
            self._request(dataclasses.replace(chunk, successor=chunk.predecessor,
                                              inputs=_emptied(chunk.inputs) | {"commit": np.array(1)}))
            self.settle()
        return None

    def _request(self, chunk: Chunk) -> None:
        strings = {"secret": self._key, "predecessor": chunk.predecessor, "successor": chunk.successor}
        inputs = chunk.inputs | {name: np.array(value, object) for name, value in strings.items()}
        answer = self._client.predict(Predict(inputs | {"settled": np.array(self._settled())}, APPLY_DELTA))
        self._saw(int(answer["epoch"]))

    def _saw(self, epoch: int) -> None:
        if not self._seen or self._seen[-1][1] != epoch:
            self._seen.append((time.monotonic(), epoch))

    def _settled(self) -> int:
        before = time.monotonic() - self._grace
        return max((epoch for seconds, epoch in self._seen if seconds <= before), default=0)


def _emptied(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values[:0] if values.shape else np.array(b"", object) if values.dtype == object else np.array(0)
            for name, values in inputs.items()}
