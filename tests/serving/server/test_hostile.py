"""Hostile input: no request may stop the server or change the answers of other clients."""

import concurrent.futures
import contextlib
import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_servers import BINARY, NAME, answering, copied, live_server, wait_for

from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, RequestError, RetryPolicy
from tfrs_pretrain.serving.protocol.messages import PredictRequest
from tfrs_pretrain.serving.protocol.tensor_protos import to_proto

REFUSALS = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"}
SIGNATURES = ["serving_default", "rank", "predict_examples", "classify", "user_embedding", "item_embedding", "",
              "absent"]
NAMES = ["user_id", "item_id", "surface", "topic", "quality", "country", "inputs", "bogus"]
ARRAYS = st.one_of(
    st.lists(st.binary(max_size=40), max_size=4).map(lambda values: np.array([*values, None], object)[:-1]),
    st.lists(st.integers(-2**63, 2**63 - 1), max_size=4).map(lambda values: np.array(values, np.int64)),
    st.lists(st.floats(width=32), max_size=4).map(lambda values: np.array(values, np.float32)),
    st.just(np.zeros((3, 0, 2), np.int64)), st.just(np.array(True)), st.just(np.zeros([1] * 7, np.float32)))


@pytest.fixture(scope="module")
def bystander(live):
    """Sends golden requests while the tests of this module run; at the end, their answers must be correct."""
    stop, wrong, answered = threading.Event(), [], []

    def ask():
        columns, scores = live.golden()
        with live.clients()[0] as client:
            while not stop.wait(0.01):
                try:
                    if not answering(client, columns, scores):
                        wrong.append("other scores")
                except RequestError as error:
                    wrong.append(str(error))
                answered.append(1)

    thread = threading.Thread(target=ask)
    thread.start()
    yield answered
    stop.set()
    thread.join()
    assert wrong == []
    assert len(answered) > 50


def refused(ask):
    """The call must succeed, or fail with one of the codes in REFUSALS."""
    try:
        ask()
    except RequestError as error:
        assert error.code in REFUSALS, error


@given(st.sampled_from(SIGNATURES), st.dictionaries(st.sampled_from(NAMES), ARRAYS, max_size=7))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_tensors(live, bystander, signature, tensors):
    message = PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = NAME, signature
    for name, values in tensors.items():
        message.inputs[name].CopyFrom(to_proto(values))
    with GrpcClient(live.grpc, Model(NAME), retries=RetryPolicy(1)) as client:
        refused(lambda: client._call(client._prediction.Predict, message))


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_as_examples(live, bystander, examples):
    values = np.array([*examples, None], object)[:-1]
    with GrpcClient(live.grpc, Model(NAME), retries=RetryPolicy(1)) as client:
        for signature in ("predict_examples", "classify"):
            refused(lambda: client.predict(Predict({"inputs": values}, signature)))  # noqa: B023


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_as_messages(live, bystander, data):
    import grpc

    with grpc.insecure_channel(live.grpc) as channel:
        for method in ("Predict", "Classify", "Regress", "GetModelMetadata"):
            call = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
            with contextlib.suppress(grpc.RpcError):
                call(data, timeout=20)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from([*NAMES, "b64", "signature_name"]), inner, max_size=4), max_leaves=12)


@given(st.sampled_from(["predict", "classify", "regress"]),
       st.dictionaries(st.sampled_from(["instances", "inputs", "examples", "context", "signature_name"]), JSON))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_json(live, bystander, verb, body):
    status, answer = post(live, json.dumps(body).encode(), verb)
    assert status in (200, 400, 404, 429, 500), answer
    assert BINARY or status != 500, answer


def post(live, body, verb="predict", headers=None):
    connection = http.client.HTTPConnection(live.rest, timeout=20)
    try:
        connection.request("POST", f"/v1/models/{NAME}:{verb}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def nested(depth):
    """A length-delimited field inside itself."""
    inner = b""
    for _ in range(depth):
        size, length = len(inner), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        inner = b"\x0a" + length + bytes([size]) + inner
    return inner


def test_deep_nesting(live, bystander):
    deep = b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert post(live, deep)[0] == 400
    assert post(live, b'{"instances": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}")[0] == 400
    with GrpcClient(live.grpc, Model(NAME), retries=RetryPolicy(1)) as client:
        refused(lambda: client.predict(Predict({"inputs": np.array([nested(5000)], object)}, "predict_examples")))


def test_nan_and_infinity_affect_only_their_row(live, bystander):
    """NaN is the missing number. Neither NaN nor infinity may change the scores of other rows."""
    columns, scores = live.golden()
    odd = dict(columns, quality=[float("nan"), float("inf"), float("-inf"), *columns["quality"][3:]])
    for client in live.clients():
        found = client.predict(Predict(odd))["score"]
        np.testing.assert_allclose(found[3:], scores[3:], rtol=0, atol=1e-5)
        assert np.isfinite(found[0])


@pytest.mark.skipif(bool(BINARY), reason="these limits belong to the development server")
def test_huge_batches_are_refused(live, bystander):
    columns, _ = live.golden()
    huge = {name: np.resize(np.array(values, object if isinstance(values[0], str) else None), 100_001)
            for name, values in columns.items()}
    for client in live.clients():
        with pytest.raises(RequestError, match="batch of 100001, the maximum is 100000") as caught:
            client.predict(Predict(huge))
        assert caught.value.code == "INVALID_ARGUMENT"
    message = PredictRequest()
    message.model_spec.name = NAME
    message.inputs["user_id"].CopyFrom(to_proto(np.array([1])))
    message.inputs["user_id"].tensor_shape.dim[0].size = 1 << 40
    with GrpcClient(live.grpc, Model(NAME)) as client, pytest.raises(RequestError, match="user_id") as caught:
        client._call(client._prediction.Predict, message)
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.skipif(bool(BINARY), reason="these limits belong to the development server")
def test_too_large_messages_are_refused(live, bystander):
    with GrpcClient(live.grpc, Model(NAME), retries=RetryPolicy(1)) as client, pytest.raises(RequestError) as caught:
        client.predict(Predict({"inputs": np.array([b"x" * (65 << 20)], object)}, "predict_examples"))
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    for length in ("99999999999999", "-1", "x", ""):
        assert post(live, b"", headers={"Content-Length": length})[0] == 400


@pytest.mark.skipif(bool(BINARY), reason="these limits belong to the development server")
def test_idle_connections_do_not_block_other_clients(live, bystander):
    host, port = live.rest.split(":")
    with contextlib.ExitStack() as open_ones:
        for _ in range(40):
            slow = open_ones.enter_context(socket.create_connection((host, int(port)), timeout=20))
            slow.sendall(b"POST /v1/models/x:predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        columns, scores = live.golden()
        assert answering(live.clients()[1], columns, scores)


@pytest.mark.slow
def test_hot_reloads_lose_no_request(two_versions, tmp_path):
    """16 clients send over 1,000 requests while the label moves between versions, which are loaded and unloaded."""
    models = copied(two_versions, tmp_path / "models", 1, 2)
    with live_server(models, tmp_path, versions=[1, 2], labels={"stable": 1}) as running:
        columns, scores = running.golden(1)
        with running.clients(version=2)[0] as client:
            expected = {1: scores, 2: wait_for(lambda: client.predict(Predict(columns)))["score"]}
        reloads, done = [], threading.Event()

        def reload():
            for version in [2, 1] * 50:
                if done.is_set():
                    return
                running.write(versions=[1, 2], labels={"stable": 3 - version})  # the server refuses one edit for both
                with running.clients(version=version)[0] as client:
                    wait_for(client.metadata)
                running.write(versions=[version], labels={"stable": version})
                with running.clients(label="stable")[0] as client:
                    wait_for(lambda: client.metadata().version == version)  # noqa: B023
                reloads.append(version)

        def ask(_):
            """The versions that answered: those of the client's part of the requests, and until enough reloads."""
            seen, end = [], time.monotonic() + 120
            with GrpcClient(running.grpc, Model(NAME, label="stable"), timeout=30, retries=RetryPolicy(1)) as client:
                while (len(seen) < 1000 // 16 + 1 or len(reloads) < 4) and time.monotonic() < end:
                    found = client.predict(Predict(columns))["score"]
                    seen += [version for version, scores in expected.items()
                             if np.allclose(found, scores, rtol=0, atol=1e-5)] or [None]
                    if len(seen) > 1000 // 16:  # its part is done: leave the machine to the loading
                        time.sleep(0.02)
            return seen

        reloading = threading.Thread(target=reload)
        reloading.start()
        try:
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                answered = [version for seen in pool.map(ask, range(16)) for version in seen]
        finally:
            done.set()
            reloading.join()
        assert len(answered) >= 1000
        assert set(answered) == {1, 2}
        assert len(reloads) >= 4
