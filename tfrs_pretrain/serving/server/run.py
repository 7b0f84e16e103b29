"""Starts the development server."""

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
from tfrs_pretrain.serving.protocol.messages import (
    ModelConfig,
    ModelServerConfig,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from tfrs_pretrain.serving.server.grpc_services import ModelService, PredictionService
from tfrs_pretrain.serving.server.http_server import RestServer
from tfrs_pretrain.serving.server.model_manager import ModelManager
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS, RequestLimits

HOST = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Ports:
    """0: any free port."""

    grpc: int = 0
    rest: int = 0


FREE = Ports()


class DevelopmentServer:
    """gRPC and REST on the loopback interface over one set of models; a context manager.

    Args:
      manager: the models.
      ports: where to listen.
      limits: of requests.

    Attributes:
      grpc, rest: ``host:port`` of each.

    Raises:
      UserError: a port is taken.
    """

    def __init__(self, manager: ModelManager, ports: Ports = FREE, limits: RequestLimits = DEFAULT_LIMITS):
        self.manager = manager
        self._grpc = grpc.server(futures.ThreadPoolExecutor(limits.threads, "grpc"), options=[
            ("grpc.max_receive_message_length", limits.message_bytes), ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=limits.concurrent)
        add_PredictionServiceServicer_to_server(PredictionService(manager), self._grpc)
        add_ModelServiceServicer_to_server(ModelService(manager), self._grpc)
        try:
            self._rest = RestServer((HOST, ports.rest), manager, limits)
            self.grpc = f"{HOST}:{self._grpc.add_insecure_port(f'{HOST}:{ports.grpc}')}"
        except (OSError, RuntimeError) as error:
            raise UserError(f"ports {ports.grpc} and {ports.rest} cannot be listened on ({error}): stop what uses "
                            "them, or name others") from error
        self.rest = f"{HOST}:{self._rest.server_address[1]}"
        self._grpc.start()
        self._thread = threading.Thread(target=self._rest.serve_forever, name="rest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes no more requests, waits for those that run, drops the models."""
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
    """The models of a models.config, which is read again whenever it changes.

    Raises:
      UserError: it cannot be read.
    """
    seen = path.stat().st_mtime_ns if path.is_file() else 0

    def changed() -> ModelServerConfig | None:
        nonlocal seen
        now = path.stat().st_mtime_ns if path.is_file() else seen
        if now == seen:
            return None
        seen = now
        return read_models_config(path)

    def folder(model: ModelConfig) -> Path:
        return folder_of(model, path)

    return ModelManager(read_models_config(path), folder, limits, changed)


def serve(config: Path, ports: Ports, poll_seconds: float, ready: Callable[[DevelopmentServer], None]) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
      config: a models.config.
      ports: where to listen.
      poll_seconds: between looks at configuration and folders.
      ready: called once it listens.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with DevelopmentServer(open_models(config), ports) as server:
        server.manager.watch(poll_seconds)
        ready(server)
        stop.wait()
