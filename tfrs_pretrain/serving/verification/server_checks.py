"""Checks of a running server, each with the expected and the received value."""

from __future__ import annotations

from collections.abc import Iterator

from tfrs_pretrain.serving.client import Client, Metadata, RequestError
from tfrs_pretrain.serving.client.response_types import AVAILABLE
from tfrs_pretrain.serving.verification.differences import max_difference, only_in_each, signature_lines
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay
from tfrs_pretrain.serving.verification.result import Check


def check_version(transport: str, client: Client, version: int) -> Check:
    """Checks that the version is available."""
    what = f"version {version}"
    try:
        statuses = {status.version: status for status in client.status()}
    except RequestError as error:
        return Check(transport, what, AVAILABLE, str(error), False)
    if version not in statuses:
        return Check(transport, what, AVAILABLE, f"versions {sorted(statuses)}", False)
    status = statuses[version]
    return Check(transport, what, AVAILABLE, f"{status.state} {status.error}".strip(), status.state == AVAILABLE)


def check_label(transport: str, client: Client, label: str, version: int) -> Check:
    """Checks that a client which uses this label gets this version."""
    what, expected = f"label {label!r}", f"version {version}"
    try:
        received = client.metadata().version
    except RequestError as error:
        return Check(transport, what, expected, str(error), False)
    return Check(transport, what, expected, f"version {received}", received == version)


def check_metadata(transport: str, client: Client, expected: Metadata) -> Iterator[Check]:
    """Checks the signatures' names, and dtype and shape of each input and output."""
    try:
        received = client.metadata()
    except RequestError as error:
        yield Check(transport, "signatures", str(list(expected.public)), str(error), False)
        return
    names = [list(metadata.public) for metadata in (expected, received)]
    yield Check(transport, "signatures", str(names[0]), str(names[1]), names[0] == names[1])
    for name in sorted(expected.public.keys() & received.public.keys()):
        lines = [signature_lines(metadata.signatures[name]) for metadata in (expected, received)]
        yield Check(transport, f"inputs and outputs of {name}", *only_in_each(*lines), lines[0] == lines[1])


def check_golden(transport: str, client: Client, golden: GoldenReplay, tolerance: float) -> Check:
    """Sends a golden request and compares the answer with the stored outputs, to the tolerance of the export."""
    what, expected = f"golden {golden.signature}", f"the stored outputs ± {tolerance:g}"
    try:
        received = golden.send(client)
    except RequestError as error:
        return Check(transport, what, expected, str(error), False)
    difference = max_difference(golden.outputs, received)
    if isinstance(difference, str):
        return Check(transport, what, expected, difference, False)
    num_rows = len(next(iter(received.values())))
    return Check(transport, what, expected, f"{num_rows} rows, largest difference {difference:.1e}",
                 difference <= tolerance)
