"""What must be true of a server, each with what was expected and what came."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from tfrs_pretrain.serving.client import Client, Metadata, RequestError, Signature
from tfrs_pretrain.serving.client.response_types import AVAILABLE
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay

INTERNAL = "__"  # names of signatures that only the loader calls


@dataclasses.dataclass(frozen=True)
class Check:
    """One comparison; all texts."""

    transport: str
    what: str
    expected: str
    came: str
    passed: bool


def check_version(transport: str, client: Client, version: int) -> Check:
    """The version is available."""
    what = f"version {version}"
    try:
        states = {each.version: each for each in client.status()}
    except RequestError as error:
        return Check(transport, what, AVAILABLE, str(error), False)
    if version not in states:
        return Check(transport, what, AVAILABLE, f"versions {sorted(states)}", False)
    found = states[version]
    return Check(transport, what, AVAILABLE, f"{found.state} {found.error}".strip(), found.state == AVAILABLE)


def check_label(transport: str, client: Client, label: str, version: int) -> Check:
    """The client, which asks by this label, gets this version."""
    try:
        came = client.metadata().version
    except RequestError as error:
        return Check(transport, f"label {label!r}", f"version {version}", str(error), False)
    return Check(transport, f"label {label!r}", f"version {version}", f"version {came}", came == version)


def check_metadata(transport: str, client: Client, expected: Metadata) -> Iterator[Check]:
    """Signatures by name, and dtype and shape of each input and output."""
    try:
        came = client.metadata()
    except RequestError as error:
        yield Check(transport, "signatures", str(sorted(expected.signatures)), str(error), False)
        return
    names = [[name for name in sorted(of.signatures) if not name.startswith(INTERNAL)] for of in (expected, came)]
    yield Check(transport, "signatures", str(names[0]), str(names[1]), names[0] == names[1])
    for name in sorted(expected.signatures.keys() & came.signatures.keys()):
        words = [_described(of.signatures[name]) for of in (expected, came)]
        yield Check(transport, f"inputs and outputs of {name}", *_first_difference(*words), words[0] == words[1])


def check_golden(transport: str, client: Client, golden: GoldenReplay, tolerance: float) -> Check:
    """The outputs of a golden request, to the tolerance of the export."""
    what, expected = f"golden {golden.signature}", f"the stored outputs ± {tolerance:g}"
    try:
        came = golden.ask(client)
    except RequestError as error:
        return Check(transport, what, expected, str(error), False)
    difference = largest_difference(golden.outputs, came)
    return Check(transport, what, expected, difference if isinstance(difference, str)
                 else f"{len(next(iter(came.values())))} rows, largest difference {difference:.1e}",
                 not isinstance(difference, str) and difference <= tolerance)


def largest_difference(expected: Mapping[str, np.ndarray], came: Mapping[str, np.ndarray]) -> float | str:
    """Largest absolute difference of any output, infinite where one is no number; or what else differs."""
    if set(expected) != set(came):
        return f"outputs {sorted(came)} instead of {sorted(expected)}"
    largest = 0.0
    for name, values in expected.items():
        if values.shape != came[name].shape:
            return f"output {name!r} of shape {list(came[name].shape)} instead of {list(values.shape)}"
        if values.dtype.kind in "OUS":
            if [_text(each) for each in values.flat] != [_text(each) for each in came[name].flat]:
                return f"output {name!r} has other values"
        elif values.size:
            differences = np.abs(values.astype(np.float64) - came[name].astype(np.float64))
            largest = max(largest, float(np.where(np.isnan(differences), np.inf, differences).max()))
    return largest


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _described(signature: Signature) -> list[str]:
    sides = (("input", signature.inputs), ("output", signature.outputs))
    tensors = sorted(f"{side} {name}: {spec}" for side, named in sides for name, spec in named.items())
    return [f"method {signature.method}", *tensors]


def _first_difference(expected: list[str], came: list[str]) -> tuple[str, str]:
    """What only one of them has; how many there are where they agree."""
    if expected == came:
        return (f"{len(expected) - 1} tensors",) * 2
    return (", ".join(word for word in expected if word not in came) or "nothing more",
            ", ".join(word for word in came if word not in expected) or "nothing more")
