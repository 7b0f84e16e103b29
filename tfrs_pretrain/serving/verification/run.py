"""``tfrs-pretrain verify-server``: compares a running server with an exported version, and measures it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, SAVED_MODEL_FILE
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Client, GrpcClient, Metadata, Model, RestClient, RetryPolicy
from tfrs_pretrain.serving.deltas.chain import read_chain
from tfrs_pretrain.serving.labels.models_config import model_entry
from tfrs_pretrain.serving.protocol.messages import SavedModel
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay, read_golden_requests
from tfrs_pretrain.serving.verification.load_generator import LoadSpec, measure_load
from tfrs_pretrain.serving.verification.pushed_state import golden_logs, num_applied, server_state
from tfrs_pretrain.serving.verification.result import Check, LoadResult, VerificationResult
from tfrs_pretrain.serving.verification.server_checks import (
    check_golden,
    check_label,
    check_metadata,
    check_version,
)
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS, read_version

TRANSPORTS: dict[str, type[Client]] = {"gRPC": GrpcClient, "REST": RestClient}


@dataclasses.dataclass(frozen=True)
class ServerAddress:
    """Addresses of a server.

    Attributes:
      grpc: ``host:port`` of the gRPC interface.
      rest: ``host:port`` of the REST interface; None: it is not checked.
      timeout: seconds for a request.
    """

    grpc: str
    rest: str | None = None
    timeout: float = 10.0

    def connect(self, transport: str, model: Model, retries: RetryPolicy | None = None) -> Client:
        """Returns a client of one transport."""
        address = self.grpc if transport == "gRPC" else self.rest or ""
        return TRANSPORTS[transport](address, model, timeout=self.timeout, retries=retries)

    @property
    def transports(self) -> list[str]:
        """Transports to check."""
        return list(TRANSPORTS) if self.rest else ["gRPC"]


@dataclasses.dataclass(frozen=True)
class _Expected:
    """The exported version that the server should serve, with the labels that it should have."""

    model: Model
    metadata: Metadata
    golden: list[GoldenReplay]
    labels: dict[str, int]
    tolerance: float


def verify(server: ServerAddress, folder: Path, *, models_config: Path | None, load: LoadSpec, signature: str
           ) -> VerificationResult:
    """Compares a server with an exported version and measures its latency.

    Args:
      server: the server.
      folder: folder of the exported version, ``MODELS/<name>/<version>``.
      models_config: models.config whose labels of this model must be served; None: no labels are checked.
      load: load for the latencies.
      signature: signature whose golden request is used for the load.

    Raises:
      UserError: the folder is no exported version, the signature has no golden request, or the models.config cannot be
        read.
    """
    expected = _read_expected(server, folder, models_config)
    by_signature = {golden.signature: golden for golden in reversed(expected.golden)}
    if signature not in by_signature:
        raise UserError(f"signature {signature!r} has no golden request: choose from {sorted(by_signature)}")
    checks: list[Check] = []
    measured: dict[str, LoadResult] = {}
    for transport in server.transports:
        checks += _checks(server, transport, expected)
        if load.requests and all(check.passed for check in checks):
            connect = functools.partial(server.connect, transport, expected.model, RetryPolicy(max_attempts=1))
            measured[transport] = measure_load(connect, by_signature[signature], load, expected.tolerance)
            checks.append(_load_check(transport, load, measured[transport].failures))
    return VerificationResult(expected.model.name, expected.metadata.version, tuple(checks), measured)


def exported_metadata(folder: Path, version: int) -> Metadata:
    """Reads the signatures of a SavedModel from its graph, without loading it.

    Args:
      folder: folder of the SavedModel.
      version: its version.

    Raises:
      UserError: the graph cannot be read.
    """
    path = folder / SAVED_MODEL_FILE
    try:
        graphs = SavedModel.FromString(path.read_bytes()).meta_graphs
    except (OSError, DecodeError) as error:
        raise UserError(f"{str(path)!r} cannot be read ({error}): export the model again") from error
    return Metadata.from_messages(version, {name: message for graph in graphs
                                            for name, message in graph.signature_def.items()})


def _read_expected(server: ServerAddress, folder: Path, models_config: Path | None) -> _Expected:
    manifest = read_version(folder)
    model = Model(manifest["name"], version=manifest["version"])
    return _Expected(
        model=model, metadata=exported_metadata(folder, manifest["version"]),
        golden=read_golden_requests(_pushed_golden_logs(server, model, folder) if manifest.get("live")
                                    else folder / EXTRA_ASSETS / GOLDEN_LOGS),
        labels=dict(model_entry(models_config, model.name).version_labels) if models_config else {},
        tolerance=manifest["check"]["tolerance"])


def _pushed_golden_logs(server: ServerAddress, model: Model, folder: Path) -> Path:
    """Returns the golden requests after the deltas that the server has applied."""
    chain = read_chain(folder.resolve())
    with server.connect("gRPC", model) as client:
        return golden_logs(chain, num_applied(chain, server_state(client).version))


def _checks(server: ServerAddress, transport: str, expected: _Expected) -> Iterator[Check]:
    with server.connect(transport, expected.model) as client:
        yield check_version(transport, client, expected.metadata.version)
        yield from check_metadata(transport, client, expected.metadata)
        for golden in expected.golden:
            yield check_golden(transport, client, golden, expected.tolerance)
    for label, version in sorted(expected.labels.items()):
        with server.connect(transport, Model(expected.model.name, label=label)) as client:
            yield check_label(transport, client, label, version)


def _load_check(transport: str, load: LoadSpec, failures: dict[str, int]) -> Check:
    return Check(transport, f"{load.requests} requests by {load.concurrency} clients", "all answered",
                 str(failures) if failures else "all answered", not failures)
