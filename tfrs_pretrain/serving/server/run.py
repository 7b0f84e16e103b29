"""The development server: both interfaces over one set of models."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.labels.models_config import folder_of, read_models_config
from tfrs_pretrain.serving.protocol.messages import ModelConfig, ModelServerConfig
from tfrs_pretrain.serving.protocol.services import MODEL_SERVICE, PREDICTION_SERVICE, add_service
from tfrs_pretrain.serving.server.grpc_services import ModelService, PredictionService
from tfrs_pretrain.serving.server.http_server import RestServer
from tfrs_pretrain.serving.server.model_manager import ModelManager
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS, RequestLimits

HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Ports:
    """Ports to listen on; 0: any free port."""

    grpc: int = 0
    rest: int = 0


ANY_FREE = Ports()


class DevelopmentServer:
    """Serves gRPC and REST on the loopback interface; a context manager.

    Args:
      manager: the models to serve; closed with the server.
      ports: ports to listen on.
      limits: limits on requests.

    Attributes:
      grpc: ``host:port`` of the gRPC interface.
      rest: ``host:port`` of the REST interface.

    Raises:
      UserError: a port is in use.
    """

    def __init__(self, manager: ModelManager, ports: Ports = ANY_FREE, limits: RequestLimits = DEFAULT_LIMITS):
        self.manager = manager
        self._grpc = grpc.server(futures.ThreadPoolExecutor(limits.threads, "grpc"), options=[
            ("grpc.max_receive_message_length", limits.message_bytes), ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=limits.concurrent)
        add_service(self._grpc, PREDICTION_SERVICE, PredictionService(manager))
        add_service(self._grpc, MODEL_SERVICE, ModelService(manager))
        try:
            self._rest = RestServer((HOST, ports.rest), manager, limits)
            self.grpc = f"{HOST}:{self._grpc.add_insecure_port(f'{HOST}:{ports.grpc}')}"
        except (OSError, RuntimeError) as error:
            raise UserError(f"ports {ports.grpc} and {ports.rest} cannot be listened on ({error}): stop the process "
                            "that uses them, or choose other ports") from error
        self.rest = f"{HOST}:{self._rest.server_address[1]}"
        self._grpc.start()
        self._thread = threading.Thread(target=self._rest.serve_forever, name="rest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops accepting requests, waits up to 5 s for running ones, then unloads the models."""
        self._rest.shutdown()
        self._rest.server_close()
        self._grpc.stop(grace=5).wait()
        self.manager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


def open_models(path: Path, limits: RequestLimits = DEFAULT_LIMITS) -> ModelManager:
    """Loads the models of a models.config; polling reads the file again whenever it changes.

    Args:
      path: the models.config.
      limits: limits on requests.

    Raises:
      UserError: the file cannot be read.
    """
    last_modified = path.stat().st_mtime_ns if path.is_file() else 0

    def read_change() -> ModelServerConfig | None:
        nonlocal last_modified
        modified = path.stat().st_mtime_ns if path.is_file() else last_modified
        if modified == last_modified:
            return None
        last_modified = modified
        return read_models_config(path)

    def folder(model: ModelConfig) -> Path:
        return folder_of(model, path)

    return ModelManager(read_models_config(path), folder, limits, read_change)


def serve(config: Path, ports: Ports, poll_seconds: float, ready: Callable[[DevelopmentServer], None]) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
      config: the models.config.
      ports: ports to listen on.
      poll_seconds: time between two polls of configuration and folders.
      ready: called with the server once it accepts requests.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with DevelopmentServer(open_models(config), ports) as server:
        server.manager.watch(poll_seconds)
        ready(server)
        stop.wait()
