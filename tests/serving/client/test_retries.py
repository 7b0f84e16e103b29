"""Deadlines and retries, against servers that return predefined errors."""

import contextlib
import http.server
import itertools
import json
import threading
import time
from concurrent import futures

import grpc
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, Regress, RequestError, RestClient, RetryPolicy
from tfrs_pretrain.serving.client.errors import HTTP_STATUS
from tfrs_pretrain.serving.protocol.messages import PredictResponse
from tfrs_pretrain.serving.protocol.services import PREDICTION_SERVICE, add_service
from tfrs_pretrain.serving.protocol.tensor_protos import to_proto

QUICK = RetryPolicy(max_attempts=3, initial_backoff=0.01)
REQUEST = Predict({"x": [1]})
ANY = Model("m")


class Failing:
    """Returns the codes one after another; "OK" with a tensor, "SLOW" after a second."""

    def __init__(self, codes):
        self.codes, self.asked, self.messages = list(codes), 0, []

    def Predict(self, request, context):  # noqa: N802
        code = self.codes[min(self.asked, len(self.codes) - 1)]
        self.asked += 1
        self.messages.append(request)
        if code == "SLOW":
            time.sleep(1)
        elif code != "OK":
            context.abort(grpc.StatusCode[code], "failed")
        response = PredictResponse()
        response.outputs["y"].CopyFrom(to_proto(REQUEST.tensors()["x"]))
        return response


@contextlib.contextmanager
def over_grpc(codes, retries=QUICK, timeout=5, model=ANY):
    failing, server = Failing(codes), grpc.server(futures.ThreadPoolExecutor(2))
    add_service(server, PREDICTION_SERVICE, failing)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with GrpcClient(f"127.0.0.1:{port}", model, timeout=timeout, retries=retries) as client:
        yield client, failing
    server.stop(None)


@contextlib.contextmanager
def over_rest(codes, retries=QUICK, timeout=5, model=ANY):
    failing = Failing(codes)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            code = failing.codes[min(failing.asked, len(failing.codes) - 1)]
            failing.asked += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            failing.messages.append((self.path, json.loads(body)))
            if code == "SLOW":
                time.sleep(1)
            self.send_response(200 if code in ("OK", "SLOW") else HTTP_STATUS[code])
            self.end_headers()
            self.wfile.write(json.dumps({"outputs": {"y": [1], "z": [2]}, "results": [0.5]} if code in ("OK", "SLOW")
                                        else {"error": "failed"}).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with RestClient(f"127.0.0.1:{server.server_address[1]}", model, timeout=timeout, retries=retries) as client:
        yield client, failing
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("over", [over_grpc, over_rest])
@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_transient_errors_are_retried(over, code):
    with over([code, code, "OK"]) as (client, server):
        assert client.predict(REQUEST)["y"].tolist() == [1]
        assert server.asked == 3
    with over([code]) as (client, server):
        with pytest.raises(RequestError, match="failed") as caught:
            client.predict(REQUEST)
        assert caught.value.code == code
        assert server.asked == 3


@pytest.mark.parametrize(("over", "code"), [
    *((over_grpc, code) for code in ("INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "UNKNOWN", "ABORTED",
                                     "DEADLINE_EXCEEDED", "FAILED_PRECONDITION", "UNIMPLEMENTED")),
    *((over_rest, code) for code in ("INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "ABORTED", "DEADLINE_EXCEEDED",
                                     "UNIMPLEMENTED"))])
def test_other_errors_are_not_retried(over, code):
    with over([code, "OK"]) as (client, server):
        with pytest.raises(RequestError) as caught:
            client.predict(REQUEST)
        assert caught.value.code == code
        assert server.asked == 1


@pytest.mark.parametrize("over", [over_grpc, over_rest])
def test_one_deadline_for_all_attempts(over):
    with over(["SLOW"], timeout=0.2) as (client, _):
        start = time.monotonic()
        with pytest.raises(RequestError) as caught:
            client.predict(REQUEST)
        assert caught.value.code == "DEADLINE_EXCEEDED"
        assert time.monotonic() - start < 0.8
    patient = RetryPolicy(max_attempts=1000, initial_backoff=0.05, max_backoff=0.05)
    with over(["UNAVAILABLE"], retries=patient, timeout=0.4) as (client, server):
        start = time.monotonic()
        with pytest.raises(RequestError) as caught:
            client.predict(REQUEST)
        assert time.monotonic() - start < 0.8
        assert 2 < server.asked < 20


def test_each_attempt_gets_the_remaining_time():
    left = []

    def slow(seconds):
        left.append(seconds)
        time.sleep(0.1)
        raise RequestError("UNAVAILABLE", "", "")

    with pytest.raises(RequestError):
        RetryPolicy(max_attempts=3, initial_backoff=0.01).run(slow, timeout=5)
    assert left[0] == pytest.approx(5, abs=0.05)
    assert all(later <= earlier - 0.1 for earlier, later in itertools.pairwise(left))


@pytest.mark.parametrize("kind", [GrpcClient, RestClient])
def test_an_unreachable_server_is_unavailable(kind):
    with kind("127.0.0.1:1", Model("m"), timeout=2, retries=QUICK) as client, pytest.raises(
            RequestError, match=r"127\.0\.0\.1:1 answers UNAVAILABLE") as caught:
        client.predict(REQUEST)
    assert caught.value.code == "UNAVAILABLE"


def test_pauses_grow_and_are_random(monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def busy(_):
        raise RequestError("UNAVAILABLE", "", "")

    with pytest.raises(RequestError):
        RetryPolicy(max_attempts=7, initial_backoff=0.1, max_backoff=1).run(busy, timeout=100)
    for pause, most in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1, 1), strict=True):
        assert most / 2 <= pause <= most
    assert len({pause / most for pause, most in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1, 1), strict=True)}) > 1


def test_requests_name_model_version_and_label():
    for model, path, version, label in ((Model("a/b"), "a%2Fb", 0, ""), (Model("m", version=3), "m/versions/3", 3, ""),
                                        (Model("m", label="stable"), "m/labels/stable", 0, "stable")):
        with over_rest(["OK"], model=model) as (client, server):
            client.regress(Regress([{"x": 1}]))
            assert server.messages[0][0] == f"/v1/models/{path}:regress"
        with over_grpc(["OK"], model=model) as (client, server):
            client.predict(REQUEST)
            spec = server.messages[0].model_spec
            assert (spec.name, spec.version.value, spec.version_label) == (model.name, version, label)
    with pytest.raises(UserError, match="by version 1 and by label 'x': give only one"):
        Model("m", 1, "x")
