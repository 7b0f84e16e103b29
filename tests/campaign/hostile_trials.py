"""Sends hostile requests to a server, judges the answers, and checks that a good request is answered as before."""

import contextlib
import http.client
import json
import math
import socket
from typing import NamedTuple

import grpc
import numpy as np
from hostile_grpc import PREDICT, grpc_request, predict_request
from hostile_requests import ANSWERED, ANY, REFUSED
from hostile_rest import as_rows, http_request, rest_request, texts

from tfrs_pretrain.serving.protocol.messages import PredictResponse

SECONDS = 60
GRPC_REFUSALS = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"}
# gRPC itself answers bytes that are no message of the method's type.
NO_MESSAGE = "Exception deserializing request!"


class Answer(NamedTuple):
    """An answer of the server.

    Attributes:
      status: "OK", "" (no answer), a gRPC code or an HTTP status.
      is_refusal: the status blames the request.
      scores: scores in the answer; None: it has none.
      text: the error, or the beginning of the answer.
    """

    status: str
    is_refusal: bool = False
    scores: list[float] | None = None
    text: str = ""


def problem(expected, answer, usual_score):
    """Judges the answer to a hostile request.

    Args:
      expected: one of the constants of ``hostile_requests``.
      answer: the answer.
      usual_score: score of the first row, which is valid.

    Returns:
      (outcome, reason) if the server did not do what it must do; None if it did.
    """
    if answer.status == "OK":
        return _problem_of_scores(expected, answer, usual_score)
    if not answer.is_refusal:
        return "lost", f"{answer.status or 'no answer'}: {answer.text}"
    return ("lost", f"a valid request is refused: {answer.text}") if expected == ANSWERED else None


def _problem_of_scores(expected, answer, usual_score):
    if expected == REFUSED:
        return "silent", f"an invalid request is answered: {answer.text}"
    if expected == ANY:
        return None
    if not answer.scores or len(answer.scores) != 2 or not all(map(math.isfinite, answer.scores)):
        return "silent", f"scores {answer.scores}"
    if abs(answer.scores[0] - usual_score) > 1e-5:
        return "silent", f"the first row gets another score: {answer.scores}, not {usual_score}"
    return None


class Attack:
    """Hostile requests to a server.

    Args:
      grpc_address: ``host:port``.
      rest_address: ``host:port``.
      name: name of the served model.
      rows: valid rows.
      outcomes: counts the outcomes.
    """

    def __init__(self, grpc_address, rest_address, name, rows, outcomes):
        self._name, self._rows, self._outcomes = name, rows, outcomes
        self._channel = grpc.insecure_channel(grpc_address)
        host, port = rest_address.split(":")
        self._rest = host, int(port)
        self._good = {"gRPC": (PREDICT, predict_request(name, rows[:2]).SerializeToString(deterministic=True)),
                      "REST": ("", http_request(f"/v1/models/{name}:predict", as_rows(texts(rows[:2])).encode()))}
        self._before = {transport: self._send(*good) for transport, good in self._good.items()}
        assert all(answer.scores for answer in self._before.values()), self._before

    def run(self, kind, transport, numbers):
        """Sends requests and counts their outcomes under ``kind``; a good request follows each of them."""
        build = {"gRPC": grpc_request, "REST": rest_request}[transport]
        before = self._before[transport]
        for number in numbers:
            request = build(number, self._name, self._rows)
            answer, after = self._send(request.target, request.content), self._send(*self._good[transport])
            found = problem(request.expected, answer, before.scores[0])
            if after != before:
                found = "silent", f"afterwards, a good request gets {after}, not {before}"
            if found:
                getattr(self._outcomes, found[0])(kind, request.case, found[1])
            else:
                self._outcomes.held(kind)

    def _send(self, target, content):
        return self._send_grpc(target, content) if target else self._send_http(content)

    def _send_grpc(self, method, content):
        try:
            response = self._channel.unary_unary(method)(content, timeout=SECONDS)
        except grpc.RpcError as error:
            code, text = error.code().name, str(error.details())
            if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                return Answer("", text=f"{code} {text}")
            return Answer(code, code in GRPC_REFUSALS or text == NO_MESSAGE, text=text)
        outputs = PredictResponse.FromString(response).outputs if method == PREDICT else {}
        scores = np.frombuffer(outputs["score"].tensor_content, np.float32).tolist() if "score" in outputs else None
        return Answer("OK", scores=scores, text=f"{len(response)} bytes")

    def _send_http(self, content):
        with contextlib.closing(socket.create_connection(self._rest, SECONDS)) as connection:
            try:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer came before the end
                    connection.sendall(content)
                    connection.shutdown(socket.SHUT_WR)
                response = http.client.HTTPResponse(connection)
                response.begin()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                return Answer("", text=repr(error))
        try:
            fields = json.loads(body)
        except ValueError:
            return Answer("", text=f"status {response.status}, but no JSON: {body[:100]!r}")
        if response.status == http.HTTPStatus.OK:
            return Answer("OK", scores=fields.get("predictions", fields.get("outputs")), text=str(fields)[:100])
        blames = 400 <= response.status < 500 or response.status in (501, 505)
        return Answer(str(response.status), blames and list(fields) == ["error"], text=str(fields)[:300])
