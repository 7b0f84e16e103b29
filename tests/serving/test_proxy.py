"""The proxy of saved_models/compose.yaml in front of a server that records what reaches it."""

import gzip
import http.server
import json
import re
import signal
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import requests
from proxies import MODELS, Proxy, needs_nginx

from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, RequestError, RetryPolicy
from tfrs_pretrain.serving.protocol.messages import GetModelStatusResponse, PredictResponse, ReloadConfigRequest
from tfrs_pretrain.serving.protocol.services import MODEL_SERVICE, PREDICTION_SERVICE, add_service, make_stub

pytestmark = needs_nginx
MIB = 1 << 20


class Backend:
    """gRPC and REST services that answer at once and record the requests; model "slow" answers after 2 s."""

    def __init__(self):
        self.received = []

    def Predict(self, request, context):  # noqa: N802
        self.received.append("Predict")
        time.sleep(2 if request.model_spec.name == "slow" else 0)
        response = PredictResponse()
        response.outputs["score"].CopyFrom(request.inputs["x"])
        return response

    def GetModelStatus(self, request, context):  # noqa: N802
        return GetModelStatusResponse()

    def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        self.received.append("HandleReloadConfigRequest")
        raise AssertionError("the proxy must not pass this call")


class Proxied:
    """The proxy in front of a ``Backend``."""

    def __init__(self, folder):
        self.backend = Backend()
        self.grpc_server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
        for service in (PREDICTION_SERVICE, MODEL_SERVICE):
            add_service(self.grpc_server, service, self.backend)
        self._rest_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.backend.received))
        threading.Thread(target=self._rest_server.serve_forever, daemon=True).start()
        grpc_port = self.grpc_server.add_insecure_port("127.0.0.1:0")
        self.grpc_server.start()
        self.proxy = Proxy(folder, (grpc_port, self._rest_server.server_address[1]))

    def predict(self, values, model="m"):
        with GrpcClient(self.proxy.grpc, Model(model), timeout=60, retries=RetryPolicy(1)) as client:
            return client.predict(Predict({"x": values}))["score"]

    def post(self, body, **headers):
        return requests.post(f"http://{self.proxy.rest}/v1/models/m:predict", data=body, headers=headers, timeout=60)

    def close(self):
        self.proxy.close()
        self.grpc_server.stop(0)
        self._rest_server.shutdown()
        self._rest_server.server_close()


def _handler(received):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(b'{"outputs": 1}')

        def do_GET(self):
            self._answer(self.path.encode())

        def _answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    return Handler


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    running = Proxied(tmp_path_factory.mktemp("proxy"))
    yield running
    running.close()


@pytest.fixture
def received(proxied):
    proxied.backend.received.clear()
    return proxied.backend.received


def columns(deep):
    """A complete request of two columns, one of which contains nested lists."""
    return '{"inputs": {"user_id": [1], "item_id": ' + "[" * deep + "1" + "]" * deep + "}}"


def test_large_grpc_requests_pass_up_to_64_mib(proxied, received):
    values = np.arange(60 * MIB // 8)
    np.testing.assert_array_equal(proxied.predict(values), values)
    with pytest.raises(RequestError, match="more than 64 MiB") as caught:
        proxied.predict(np.arange(65 * MIB // 8))
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    assert received == ["Predict"]
    assert proxied.predict(np.arange(3)).tolist() == [0, 1, 2]


def test_only_inference_and_status_are_reachable_over_grpc(proxied, received):
    with (grpc.insecure_channel(proxied.proxy.grpc) as channel,
          pytest.raises(grpc.RpcError, match="not reachable through the proxy") as caught):
        make_stub(channel, MODEL_SERVICE).HandleReloadConfigRequest(ReloadConfigRequest(), timeout=60)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert received == []
    with GrpcClient(proxied.proxy.grpc, Model("m"), timeout=60) as client:
        assert client.status() == []


@pytest.mark.parametrize("body", [
    columns(1), columns(30), '{"inputs": {"a": "' + "[" * 90 + '"}}', r'{"inputs": {"a": "\"' + "[" * 90 + r'\\"}}',
    json.dumps({"inputs": {"item_id": [[1]] * 5000}}), "[" * 3 + " " * 1000], ids=range(6))
def test_rest_requests_of_ordinary_depth_pass_unchanged(proxied, received, body):
    assert proxied.post(body).json() == {"outputs": 1}
    assert received == [body.encode()]


@pytest.mark.parametrize("body", [
    columns(31), columns(20_000), "[" * 33, '{"a":' * 33, '["[[", "\\"", ' + "[" * 33, '"\\\\"' + "[" * 33],
    ids=range(6))
def test_deep_rest_requests_do_not_reach_the_server(proxied, received, body):
    """The real server crashes at 20,000 levels."""
    response = proxied.post(body)
    assert (response.status_code, response.json()) == (400, {"error": "the JSON is nested more than 32 levels deep"})
    assert received == []


def test_compressed_and_large_rest_requests_do_not_reach_the_server(proxied, received):
    packed = proxied.post(gzip.compress(columns(20_000).encode()), **{"Content-Encoding": "gzip"})
    assert (packed.status_code, packed.json()["error"]) == (415, "compressed requests are not accepted")
    assert proxied.post(b" " * MIB).ok
    large = proxied.post(b" " * (MIB + 1))
    assert (large.status_code, large.json()["error"]) == (413, "the request has more than 1 MiB: use gRPC")
    for parts in ([b" " * MIB, b" "], [b" " * 1000] * 1200):
        assert proxied.post(iter(parts)).status_code == 413
    assert len(received) == 1
    assert proxied.post(iter([b" " * 1000] * 1000)).ok


def test_chunks_of_one_byte_do_not_hide_the_depth(proxied, received):
    """With the lengths of its chunks, such a body is larger than the memory that nginx has for it."""
    body = b" " * 400_000 + columns(20_000).encode()
    response = proxied.post(body[place:place + 1] for place in range(len(body)))
    assert response.status_code in (400, 413)  # releases of nginx's module that can read a file look into it
    assert "JSON is nested" in response.json()["error"] or "lengths of its chunks" in response.json()["error"]
    assert received == []


def test_metrics_have_their_own_port(proxied):
    path = "/monitoring/prometheus/metrics"
    assert requests.get(f"http://{proxied.proxy.metrics}{path}", timeout=60).text == path
    refused = requests.get(f"http://{proxied.proxy.rest}{path}", timeout=60)
    assert (refused.status_code, refused.json()["error"]) == (404, "only /v1/ is reachable through the proxy")
    assert requests.get(f"http://{proxied.proxy.metrics}/v1/models/m", timeout=60).status_code == 404
    assert requests.get(f"http://{proxied.proxy.rest}/v1/models/m/metadata", timeout=60).text == "/v1/models/m/metadata"


def test_the_stop_signal_lets_a_running_request_finish(tmp_path):
    running = Proxied(tmp_path)
    try:
        with futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(running.predict, np.arange(3), "slow")
            while not running.backend.received:
                time.sleep(0.01)
            running.proxy.process.send_signal(signal.SIGQUIT)
            assert answer.result(60).tolist() == [0, 1, 2]
        assert running.proxy.process.wait(60) == 0
        with pytest.raises(requests.ConnectionError):
            running.post("{}")
    finally:
        running.close()


def test_a_stopped_server_is_unavailable(tmp_path):
    running = Proxied(tmp_path)
    try:
        running.grpc_server.stop(0).wait()
        with pytest.raises(RequestError, match="the model server does not answer") as caught:
            running.predict(np.arange(3))
        assert caught.value.code == "UNAVAILABLE"
    finally:
        running.close()


def test_the_configuration_mentions_no_other_upstream():
    assert set(re.findall(r"server (\S+:\d+);", (MODELS / "nginx.conf").read_text())) == {
        "serving:8500", "serving:8501"}
