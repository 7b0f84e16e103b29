"""Pushes the deltas of a version to a running server that serves the version."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import GrpcClient, Model
from tfrs_pretrain.serving.deltas.chain import Chain, read_chain
from tfrs_pretrain.serving.live.push_secret import KeyDigest
from tfrs_pretrain.serving.pushing.chunks import Chunk, delta_chunks, erasing_chunks, no_change
from tfrs_pretrain.serving.pushing.sender import Sender
from tfrs_pretrain.serving.verification.golden_replay import read_golden_requests
from tfrs_pretrain.serving.verification.pushed_state import golden_logs, num_applied, state_names
from tfrs_pretrain.serving.verification.result import Check
from tfrs_pretrain.serving.verification.server_checks import check_golden


@dataclasses.dataclass(frozen=True)
class PushResult:
    """What a push did.

    Attributes:
      found: version of the server before.
      deltas: numbers of the deltas that were applied.
      chunks: number of requests that applied them.
      seconds: time that these requests took, waits included; without reading the deltas.
      checks: golden requests sent afterwards.
      erased: number of old rows that were set to zero afterwards.
    """

    found: str
    deltas: tuple[int, ...]
    chunks: int
    seconds: float
    checks: tuple[Check, ...]
    erased: int

    @property
    def passed(self) -> bool:
        """All golden requests were answered as expected."""
        return all(check.passed for check in self.checks)


def push(server: str, base: Path, key: bytes, *, grace: float = 2.0, timeout: float = 60.0) -> PushResult:
    """Sends the deltas of a version that a server lacks, then golden requests, and erases old rows.

    Args:
      server: gRPC address.
      base: folder of the version that the server has loaded.
      key: what ``read_key`` returned.
      grace: longest time that a request to the server takes, in seconds: memory that a request may still read is not
        changed before.
      timeout: seconds for one request.

    Raises:
      UserError: the version takes no live updates or has another secret, the chain is not complete, or the server has a
        state that is not part of the chain.
      RequestError: the server refuses a request.
    """
    chain = read_chain(base.resolve())
    live, model = _live(chain, key), Model(chain.manifest["name"], version=chain.manifest["version"])
    with GrpcClient(server, model, timeout=timeout) as client:
        sender = Sender(client, key, grace)
        found = sender.state().version
        applied, seconds = [], 0.0
        present = _rename(chain, sender, found)
        for number, chunks in _missing(chain, live, present):
            start = time.perf_counter()
            sender.send(chunks)
            seconds += time.perf_counter() - start
            applied.append(number)
        sent = sender.sent
        checks = tuple(check_golden("gRPC", client, golden, chain.report["check"]["tolerance"])
                       for golden in read_golden_requests(golden_logs(chain, len(chain.deltas))))
        erased = _erase(chain, sender) if chain.deltas else 0
    return PushResult(found, tuple(applied), sent, seconds, checks, erased)


def _live(chain: Chain, key: bytes) -> dict[str, Any]:
    live: dict[str, Any] = chain.manifest.get("live") or {}
    if not live:
        raise UserError(f"version {str(chain.base)!r} takes no live updates: export it with export.live_updates=true")
    if not KeyDigest.from_json(live["key"]).matches(key):
        raise UserError(f"the secret is not that of version {str(chain.base)!r}: use the file that export.push_secret "
                        "named at its export, nothing was sent")
    return live


def _rename(chain: Chain, sender: Sender, found: str) -> str:
    """Gives a state that has another name since ids were forgotten its present name; returns the present name."""
    present, name = state_names(chain)[num_applied(chain, found)], found.partition("#")[0]
    if name in state_names(chain):
        return found
    sender.send([Chunk(found, present, no_change(chain.base_state()) | {"commit": np.array(1)})])
    return present


def _missing(chain: Chain, live: dict[str, Any], found: str) -> Iterator[tuple[int, list[Chunk]]]:
    """Yields number and chunks of each delta that a server with version ``found`` lacks."""
    done, part = num_applied(chain, found), found.partition("#")[2]
    versions, state = state_names(chain), chain.base_state()
    for delta in chain.deltas:
        later = delta.apply(state)
        if delta.number > done:
            chunks = list(delta_chunks(delta, later, versions[delta.number - 1], live))
            yield delta.number, chunks[int(part) + 1 if part and delta.number == done + 1 else 0:]
        state = later


def _erase(chain: Chain, sender: Sender) -> int:
    """Removes tombstones and old rows from the server's memory when no request can see them; returns the old rows."""
    before = sender.state()
    if not before.old:
        return 0
    sender.settle()
    sender.send(erasing_chunks(chain.base_state(), _tombstones(chain), before.version))
    return before.old - sender.state().old


def _tombstones(chain: Chain) -> dict[str, pa.Array]:
    """Vocabulary -> tombstones of all deltas."""
    found: dict[str, list[pa.Array]] = {}
    for delta in chain.deltas:
        for name in delta.manifest["vocabularies"]:
            found.setdefault(name, []).append(delta.vocabulary(name).tombstones)
    return {name: pa.concat_arrays(arrays) for name, arrays in found.items()}
