"""HTTP server of the REST interface: connections, bodies and status codes. ``rest_api`` produces the responses."""

from __future__ import annotations

import http
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from tfrs_pretrain.serving.client.errors import HTTP_STATUS
from tfrs_pretrain.serving.server import rest_api
from tfrs_pretrain.serving.server.errors import StatusError, invalid_argument, translated_errors
from tfrs_pretrain.serving.server.model_manager import ModelManager
from tfrs_pretrain.serving.server.request_limits import RequestLimits


class RestServer(ThreadingHTTPServer):
    """Listens on one address, with one thread for each of at most ``limits.concurrent`` connections.

    Args:
      address: host and port.
      manager: models to serve.
      limits: limits on connections and requests.

    Raises:
      OSError: the port is in use.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], manager: ModelManager, limits: RequestLimits):
        self.manager, self.limits = manager, limits
        self._free = threading.BoundedSemaphore(limits.concurrent)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with request:
            _send_raw(request, "RESOURCE_EXHAUSTED", "too many connections")

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores errors of the connection: clients may disconnect at any time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # an invalid request line is answered with a status line, as in HTTP/1.0
    # Buffered, so that head and body leave in one packet: two packets would wait 40 ms for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: RestServer

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.idle_seconds)

    def do_GET(self) -> None:
        self._reply(lambda: rest_api.get(self.server.manager, self.path))

    def do_POST(self) -> None:
        self._reply(lambda: rest_api.post(self.server.manager, self.path, self._body()))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Sends an error that the base class finds before it calls a method of this class."""
        self.close_connection = True
        self._send(code, {"error": message or _phrase(code)})

    def log_message(self, format: str, *args: Any) -> None:
        """Logs no requests, to keep the console readable."""

    def _reply(self, respond: Callable[[], Mapping[str, Any]]) -> None:
        try:
            with translated_errors():
                status, content = http.HTTPStatus.OK.value, respond()
        except StatusError as error:
            status, content = HTTP_STATUS[error.code], {"error": error.message}
        self._send(status, content)

    def _send(self, status: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response_only(status, _phrase(status))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> Any:
        """Parses the JSON body; closes the connection if the end of the body is unknown."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > self.server.limits.message_bytes:
            self.close_connection = True
            raise invalid_argument(f"expected a Content-Length of at most {self.server.limits.message_bytes}, "
                                   f"got {length!r}")
        try:
            return json.loads(self.rfile.read(int(length)))
        except TimeoutError as error:
            self.close_connection = True
            raise StatusError("DEADLINE_EXCEEDED", f"received fewer than {length} bytes in time") from error
        except (ValueError, RecursionError) as error:
            raise invalid_argument(f"JSON parse error: {error}") from error


def _phrase(status: int) -> str:
    return http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Client Closed Request"


def _send_raw(connection: socket, code: str, message: str) -> None:
    body, status = json.dumps({"error": message}).encode(), HTTP_STATUS[code]
    connection.sendall(f"HTTP/1.1 {status} {_phrase(status)}\r\nContent-Type: application/json\r\nContent-Length: "
                       f"{len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
