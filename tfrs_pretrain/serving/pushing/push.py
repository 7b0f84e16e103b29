"""Pushes the deltas of a version to a running server that serves the version."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, RequestError
from tfrs_pretrain.serving.deltas.chain import Chain, read_chain
from tfrs_pretrain.serving.protocol.signature_names import APPLY_DELTA, DELTA_VERSION
from tfrs_pretrain.serving.pushing.chunks import Chunk, delta_chunks
from tfrs_pretrain.serving.verification.golden_replay import read_golden_requests
from tfrs_pretrain.serving.verification.result import Check
from tfrs_pretrain.serving.verification.server_checks import check_golden
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS

WAIT = ("less than the grace period ago", "no free places")  # parts of the messages of ``apply_delta``


@dataclasses.dataclass(frozen=True)
class PushResult:
    """What a push did.

    Attributes:
      found: version of the server before.
      deltas: numbers of the deltas that were applied.
      chunks: number of requests.
      seconds: time from the first request to the last commit.
      checks: golden requests sent afterwards.
    """

    found: str
    deltas: tuple[int, ...]
    chunks: int
    seconds: float
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """All golden requests were answered as expected."""
        return all(check.passed for check in self.checks)


def push(server: str, base: Path, key: bytes, *, timeout: float = 60.0) -> PushResult:
    """Sends the deltas of a version that a server lacks, then golden requests.

    Args:
      server: gRPC address.
      base: folder of the version that the server has loaded.
      key: what ``read_key`` returned.
      timeout: seconds for one request, and for one wait for free places.

    Raises:
      UserError: the version takes no live updates, the chain is not complete, or the server has a state that is not
        part of the chain.
      RequestError: the server refuses a request.
    """
    chain = read_chain(base.resolve())
    live = chain.manifest.get("live")
    if not live:
        raise UserError(f"version {str(base)!r} takes no live updates: export it with export.live_updates=true")
    model = Model(chain.manifest["name"], version=chain.manifest["version"])
    with GrpcClient(server, model, timeout=timeout) as client:
        found = _version(client)
        sender, start = _Sender(client, key, live["grace_seconds"], timeout), time.perf_counter()
        applied = []
        for number, chunks in _missing(chain, live["token"], found):
            sender.send_all(chunks)
            applied.append(number)
        seconds = time.perf_counter() - start
        folder = chain.deltas[-1].folder if chain.deltas else base / "assets.extra"
        checks = tuple(check_golden("gRPC", client, golden, chain.report["check"]["tolerance"])
                       for golden in read_golden_requests(folder / GOLDEN_LOGS))
    return PushResult(found, tuple(applied), sender.sent, seconds, checks)


def _missing(chain: Chain, token: str, found: str) -> Iterator[tuple[int, list[Chunk]]]:
    """Yields number and chunks of each delta that a server with version ``found`` lacks."""
    versions = [token, *(delta.digest for delta in chain.deltas)]
    name, _, part = found.partition("#")
    if name not in versions:
        raise UserError(f"the server has version {found[:12]} of another chain than {str(chain.base)!r}: load that "
                        "version, or restart the server to begin with the base")
    done = versions.index(name) - bool(part)  # the last delta that was applied as a whole
    state = chain.base_state()
    for delta in chain.deltas:
        later = delta.apply(state)
        if delta.number > done:
            chunks = list(delta_chunks(delta, state, later, versions[delta.number - 1]))
            yield delta.number, chunks[int(part) + 1 if part and delta.number == done + 1 else 0:]
        state = later


class _Sender:
    """Sends chunks and waits where the server demands it."""

    def __init__(self, client: GrpcClient, key: bytes, grace: float, timeout: float):
        self._client, self._key, self._grace, self._timeout = client, key, grace, timeout
        self.sent, self._uncommitted = 0, False

    def send_all(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self._send(chunk)
            self._uncommitted = not chunk.last

    def _send(self, chunk: Chunk) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                self._request(chunk)
                return
            except RequestError as error:
                if _version(self._client) == chunk.successor:  # applied, but the answer was lost
                    return
                if not any(text in str(error) for text in WAIT) or time.monotonic() > deadline:
                    raise
            if self._uncommitted:  # what was sent so far becomes visible, so that its old places become free
                self._request(dataclasses.replace(chunk, successor=chunk.predecessor, last=True,
                                                  inputs=_emptied(chunk.inputs)))
                self._uncommitted = False
            time.sleep(self._grace)

    def _request(self, chunk: Chunk) -> None:
        strings = {"secret": self._key, "predecessor": chunk.predecessor, "successor": chunk.successor}
        inputs = chunk.inputs | {name: np.array(value, object) for name, value in strings.items()}
        self._client.predict(Predict(inputs | {"commit": np.array(int(chunk.last))}, APPLY_DELTA))
        self.sent += 1


def _emptied(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values[:0] if values.shape else np.array(b"", object) for name, values in inputs.items()}


def _version(client: GrpcClient) -> str:
    try:
        answer = client.predict(Predict({}, DELTA_VERSION))
    except RequestError as error:
        if error.code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT"):
            raise UserError(f"the server's model takes no live updates ({error}): load a version exported with "
                            "export.live_updates=true") from error
        raise
    return str(answer["version"].item().decode())
