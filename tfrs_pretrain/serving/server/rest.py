"""TensorFlow Serving's REST interface: predict, classify, regress, status and metadata under /v1/models."""

from __future__ import annotations

import http
import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf import json_format

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.errors import HTTP_STATUS
from tfrs_pretrain.serving.client.examples import to_example
from tfrs_pretrain.serving.protocol import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    Input,
    ModelSpec,
    RegressionRequest,
    SignatureDefMap,
)
from tfrs_pretrain.serving.server import answers, services
from tfrs_pretrain.serving.server.errors import Refused, invalid, refusing
from tfrs_pretrain.serving.server.limits import Limits
from tfrs_pretrain.serving.server.manager import ModelManager
from tfrs_pretrain.serving.server.tensors_json import ROWS, from_base64, read_inputs, write_outputs

_MODEL = r"(?i:/v1/models)/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,19})|/labels/(?P<label>[^/:]+))?"
_ASKED = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)")
_SEEN = re.compile(_MODEL + r"(?P<metadata>/metadata)?")


class RestServer(ThreadingHTTPServer):
    """Listens on one address; each connection has a thread, of which there are at most ``limits.concurrent``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], manager: ModelManager, limits: Limits):
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
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet; two would wait 40 ms for the client's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: RestServer

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.idle_seconds)

    def do_GET(self) -> None:
        self._reply(self._seen)

    def do_POST(self) -> None:
        self._reply(self._asked)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a development server's console belongs to its user."""

    def _reply(self, of: Callable[[], Mapping[str, Any]]) -> None:
        try:
            with refusing():
                status, content = http.HTTPStatus.OK.value, of()
        except Refused as error:
            status, content = HTTP_STATUS[error.code], {"error": error.message}
        body = json.dumps(content).encode()
        self.send_response_only(status, _phrase(status))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _seen(self) -> Mapping[str, Any]:
        found = self._match(_SEEN)
        if found["metadata"]:
            return _metadata(self.server.manager, _spec(found))
        status = services.status(self.server.manager, GetModelStatusRequest(model_spec=_spec(found)))
        return _plain(status)

    def _asked(self) -> Mapping[str, Any]:
        body = self._body()
        found = self._match(_ASKED)
        signature = body.get("signature_name", "")
        if not isinstance(signature, str):
            raise invalid("'signature_name' key must be a string value")
        spec = _spec(found, signature)
        ask = {"predict": _predict, "classify": _classify, "regress": _regress}[found["verb"].lower()]
        return ask(self.server.manager, spec, body)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.fullmatch(urlsplit(self.path).path)
        if not found:
            raise invalid(f"malformed request: {self.command} {self.path}")
        return found

    def _body(self) -> dict[str, Any]:
        """The JSON object of a request; where its end is not known, the connection ends with it."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > self.server.limits.message_bytes:
            self.close_connection = True
            raise invalid(f"a Content-Length of at most {self.server.limits.message_bytes} is needed, got {length!r}")
        text = self.rfile.read(int(length))
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise invalid(f"JSON parse error: {error}") from error
        if not isinstance(body, dict):
            raise invalid("the request must be a JSON object")
        return body


def _predict(manager: ModelManager, spec: ModelSpec, body: Mapping[str, Any]) -> Mapping[str, Any]:
    with manager.used(spec) as (_, model):
        signature = model.signature(spec.signature_name)
        outputs = model.run(signature, read_inputs(body, model.signatures[signature]))
    return write_outputs(outputs, rows=ROWS in body)


def _classify(manager: ModelManager, spec: ModelSpec, body: Mapping[str, Any]) -> Mapping[str, Any]:
    request = ClassificationRequest(model_spec=spec, input=_examples(body))
    found = services.answer(manager, request, answers.classify).result.classifications
    return {"results": [[[each.label, each.score] for each in classes.classes] for classes in found]}


def _regress(manager: ModelManager, spec: ModelSpec, body: Mapping[str, Any]) -> Mapping[str, Any]:
    request = RegressionRequest(model_spec=spec, input=_examples(body))
    return {"results": [each.value for each in services.answer(manager, request, answers.regress).result.regressions]}


def _metadata(manager: ModelManager, spec: ModelSpec) -> Mapping[str, Any]:
    request = GetModelMetadataRequest(model_spec=spec, metadata_field=[services.METADATA])
    response, signatures = services.answer(manager, request, services.metadata), SignatureDefMap()
    response.metadata[services.METADATA].Unpack(signatures)
    return {"model_spec": {"name": spec.name, "signature_name": "", "version": str(response.model_spec.version.value)},
            "metadata": {services.METADATA: {"@type": "type.googleapis.com/tensorflow.serving.SignatureDefMap",
                                               **_plain(signatures)}}}


def _examples(body: Mapping[str, Any]) -> Input:
    rows, context = body.get("examples"), body.get("context", {})
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in [*rows, context]):
        raise invalid("'examples' must be a list of JSON objects, and 'context' one")
    found = Input()
    try:
        target = found.example_list_with_context if context else found.example_list
        target.examples.extend(to_example(_decoded(row)) for row in rows)
        if context:
            target.context.CopyFrom(to_example(_decoded(context)))
    except (UserError, OverflowError, ValueError) as error:
        raise invalid(str(error)) from error
    return found


def _decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    def value(given: Any) -> Any:
        if isinstance(given, list):
            return [value(each) for each in given]
        return from_base64(given["b64"]) if isinstance(given, dict) and list(given) == ["b64"] else given

    return {name: value(given) for name, given in row.items()}


def _spec(found: re.Match[str], signature: str = "") -> ModelSpec:
    spec = ModelSpec(name=unquote(found["name"]), signature_name=signature)
    if found["version"]:
        if int(found["version"]) >= 1 << 63:
            raise invalid(f"failed to convert version: {found['version']} to numeric")
        spec.version.value = int(found["version"])
    if found["label"]:
        spec.version_label = unquote(found["label"])
    return spec


def _plain(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True,
                                     always_print_fields_with_no_presence=True)


def _phrase(status: int) -> str:
    return http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Client Closed Request"


def _send_raw(connection: socket, code: str, message: str) -> None:
    body, status = json.dumps({"error": message}).encode(), HTTP_STATUS[code]
    connection.sendall(f"HTTP/1.1 {status} {_phrase(status)}\r\nContent-Type: application/json\r\nContent-Length: "
                       f"{len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
