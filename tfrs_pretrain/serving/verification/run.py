"""``tfrs-pretrain verify-server``: does a live server serve what was exported, and how fast?"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, SAVED_MODEL_FILE
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Client, GrpcClient, Metadata, Model, RestClient, RetryPolicy, Signature
from tfrs_pretrain.serving.labels.models_config import model_entry
from tfrs_pretrain.serving.protocol.messages import SavedModel
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay, read_golden_requests
from tfrs_pretrain.serving.verification.load_generator import LoadSpec, measure_load
from tfrs_pretrain.serving.verification.server_checks import (
    INTERNAL,
    Check,
    check_golden,
    check_label,
    check_metadata,
    check_version,
)
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS, read_version

TRANSPORTS: dict[str, type[Client]] = {"gRPC": GrpcClient, "REST": RestClient}


@dataclasses.dataclass(frozen=True)
class ServerAddress:
    """Where to find it; without ``rest`` that interface is left alone."""

    grpc: str
    rest: str | None = None
    timeout: float = 10.0

    def connect(self, transport: str, model: Model, retries: RetryPolicy | None = None) -> Client:
        """A client of one transport."""
        address = self.grpc if transport == "gRPC" else self.rest or ""
        return TRANSPORTS[transport](address, model, timeout=self.timeout, retries=retries)

    @property
    def transports(self) -> list[str]:
        return list(TRANSPORTS) if self.rest else ["gRPC"]


def verify(server: ServerAddress, folder: Path, *, models_config: Path | None, load: LoadSpec, signature: str
           ) -> dict[str, Any]:
    """Compares a server with an exported version and measures it.

    Args:
      server: which server.
      folder: ``MODELS/<name>/<version>`` as it was exported.
      models_config: file whose labels of this model must be served.
      load: how much to ask for the latencies.
      signature: whose golden request is asked then.

    Returns:
      JSON: ``passed``, ``checks`` and ``load`` by transport.

    Raises:
      UserError: the folder is no exported version, or the configuration cannot be read.
    """
    manifest = read_version(folder)
    model = Model(manifest["name"], version=manifest["version"])
    labels = dict(model_entry(models_config, model.name).version_labels) if models_config else {}
    expected = exported_metadata(folder, manifest["version"])
    golden = read_golden_requests(folder / EXTRA_ASSETS / GOLDEN_LOGS)
    tolerance = manifest["check"]["tolerance"]
    chosen = [each for each in golden if each.signature == signature]
    if not chosen:
        raise UserError(f"signature {signature!r} has no golden request: choose from "
                        f"{sorted({each.signature for each in golden})}")
    checks: list[Check] = []
    measured = {}
    for transport in server.transports:
        checks += _checks(server, transport, model, expected, golden, labels, tolerance)
        if load.requests and all(check.passed for check in checks):
            connect = functools.partial(server.connect, transport, model, RetryPolicy(attempts=1))
            measured[transport] = measure_load(connect, chosen[0], load, tolerance)
            failures = measured[transport]["failures"]
            checks.append(Check(transport, f"{load.requests} requests of {load.concurrency} clients", "all answered",
                                str(failures) if failures else "all answered", not failures))
    return {"model": model.name, "version": model.version, "passed": all(check.passed for check in checks),
            "checks": [dataclasses.asdict(check) for check in checks], "load": measured}


def exported_metadata(folder: Path, version: int) -> Metadata:
    """The signatures of a SavedModel, read from its graph without loading it.

    Raises:
      UserError: it cannot be read.
    """
    path = folder / SAVED_MODEL_FILE
    try:
        graphs = SavedModel.FromString(path.read_bytes()).meta_graphs
    except (OSError, DecodeError) as error:
        raise UserError(f"{str(path)!r} cannot be read ({error}): export the model again") from error
    found = {name: Signature.of(each) for graph in graphs for name, each in graph.signature_def.items()
             if not name.startswith(INTERNAL)}
    return Metadata(version, found)


def _checks(server: ServerAddress, transport: str, model: Model, expected: Metadata, golden: list[GoldenReplay],
            labels: dict[str, int], tolerance: float) -> Iterator[Check]:
    with server.connect(transport, model) as client:
        yield check_version(transport, client, expected.version)
        yield from check_metadata(transport, client, expected)
        for request in golden:
            yield check_golden(transport, client, request, tolerance)
    for label, version in sorted(labels.items()):
        with server.connect(transport, Model(model.name, label=label)) as client:
            yield check_label(transport, client, label, version)
