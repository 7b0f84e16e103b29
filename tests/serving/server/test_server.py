"""A server of the exported model, over gRPC and REST."""

import http.client
import json
import socket
import time

import numpy as np
import pytest
import requests
from live_servers import BINARY, NAME, answering, copied, golden, live_server, models_config, wait_for

from tfrs_pretrain.serving.client import GrpcClient, Model, Predict, Regress, RequestError
from tfrs_pretrain.serving.server.run import open_models

URL = f"v1/models/{NAME}"


@pytest.fixture(params=["grpc", "rest"])
def client(live, request):
    clients = dict(zip(("grpc", "rest"), live.clients(), strict=True))
    with clients[request.param] as chosen:
        yield chosen


def test_golden_requests_return_the_stored_scores(live, client):
    columns, scores = live.golden()
    found = client.predict(Predict(columns))
    assert list(found) == ["score"]
    assert found["score"].dtype == np.float32
    np.testing.assert_allclose(found["score"], scores, rtol=0, atol=1e-5)


def test_status_and_metadata(client):
    assert [(each.version, each.state, each.error) for each in client.status()] == [(1, "AVAILABLE", "")]
    metadata = client.metadata()
    assert metadata.version == 1
    signature = metadata.signatures["serving_default"]
    assert {name: str(spec) for name, spec in signature.inputs.items()} == {
        "user_id": "int64[?]", "item_id": "string[?]", "surface": "string[?]", "topic": "int64[?]",
        "quality": "float32[?]", "country": "string[?]"}
    assert {name: str(spec) for name, spec in signature.outputs.items()} == {"score": "float32[?]"}


def test_row_and_column_format_return_the_same_scores(live):
    content = json.loads((live.models / NAME / "1/assets.extra/golden_requests.json").read_text())
    url = f"http://{live.rest}/{URL}:predict"
    rows = requests.post(url, data=json.dumps(content), timeout=20).json()["predictions"]
    columns = requests.post(url, data=json.dumps({"inputs": live.golden()[0]}), timeout=20).json()["outputs"]
    assert rows == columns
    np.testing.assert_allclose(rows, content["outputs"]["score"], rtol=0, atol=1e-5)


def changed(columns, **changes):
    return {name: values[:2] for name, values in columns.items()} | changes


@pytest.mark.parametrize(("changes", "code", "words"), [
    ({"user_id": ["a", "b"]}, "INVALID_ARGUMENT", "user_id"),
    ({"item_id": [[["x"]], [["y"]]]}, "INVALID_ARGUMENT", "item_id"),
    ({"user_id": [1, 2, 3]}, "INVALID_ARGUMENT", "."),
])
def test_invalid_inputs_are_named(live, client, changes, code, words):
    with pytest.raises(RequestError, match=words) as caught:
        client.predict(Predict(changed(live.golden()[0], **changes)))
    assert caught.value.code == code
    test_golden_requests_return_the_stored_scores(live, client)


@pytest.mark.parametrize(("model", "code"), [
    (Model("absent"), "NOT_FOUND"), (Model(NAME, version=7), "NOT_FOUND"),
    (Model(NAME, label="absent"), "INVALID_ARGUMENT")])
def test_models_that_are_not_served(live, client, model, code):
    with type(client)(client.address, model) as other, pytest.raises(RequestError) as caught:
        other.predict(Predict(live.golden()[0]))
    assert caught.value.code == code


def test_a_missing_signature_is_refused(live, client):
    with pytest.raises(RequestError, match="absent") as caught:
        client.predict(Predict(live.golden()[0], signature="absent"))
    assert caught.value.code == ("FAILED_PRECONDITION" if isinstance(client, GrpcClient) else "INVALID_ARGUMENT")


def test_unknown_inputs_are_refused(live):
    columns, _ = live.golden()
    with live.clients()[0] as client, pytest.raises(RequestError, match="bogus") as caught:
        client.predict(Predict(columns | {"bogus": columns["user_id"]}))
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"[" * 200_000, b'{"instances": []}', b'{"inputs": 5}', b'{"instances": [5], "inputs": [5]}',
    b'{"signature_name": 5, "instances": [{}]}', b'{"signature_name": "\\ud800", "instances": [{}]}',
    b'{"inputs": {"user_id": ' + b"[" * 900 + b"]" * 900 + b"}}",
    b'{"inputs": {"user_id": [1e400]}}', b'{"inputs": {"user_id": [123456789012345678901234567890]}}',
    b'{"inputs": {"user_id": [true]}}', b'{"inputs": {"item_id": [{"b64": "%%%"}]}}', b"\xff\xfe", b'{"inputs": null}',
    b'{"inputs": {"user_id": [[1], [2, 3]]}}', b'{"inputs": {"user_id": [1, [2]]}}'])
def test_invalid_bodies_are_refused(live, body):
    answer = requests.post(f"http://{live.rest}/{URL}:predict", data=body, timeout=20)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


@pytest.mark.skipif(bool(BINARY), reason="these responses belong to the development server")
@pytest.mark.parametrize(("head", "status"), [
    ("GARBAGE\r\n", 400), ("GET /\r\n\r\n", 404), ("PUT /v1 HTTP/1.1\r\n\r\n", 501),
    ("GET / HTTP/9.9\r\n\r\n", 505),
    ("GET http://[x/v1 HTTP/1.1\r\n\r\n", 404), (f"GET /{'a' * 70_000} HTTP/1.1\r\n\r\n", 414)])
def test_an_invalid_head_gets_a_status_and_json(live, head, status):
    host, port = live.rest.split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, list(json.loads(response.read()))) == (status, ["error"])


def test_a_new_version_is_served_before_the_old_one_is_unloaded(two_versions, tmp_path):
    models = copied(two_versions, tmp_path / "models", 1)
    with live_server(models, tmp_path, versions=[1, 2]) as running:
        for client in running.clients():
            assert answering(client, *running.golden(1))
        copied(two_versions, models, 2)
        for client in running.clients():
            wait_for(lambda: answering(client, *golden(models / NAME / "2")))  # noqa: B023
        for client in running.clients(version=1):
            assert answering(client, *running.golden(1))
        running.write(versions=[2])
        wait_for(lambda: {each.version: each.state for each in running.clients()[0].status()} == {
            1: "END", 2: "AVAILABLE"})
        for client in running.clients(version=1):
            with pytest.raises(RequestError) as caught:
                client.metadata()
            assert caught.value.code == "NOT_FOUND"


def test_labels_follow_the_configuration(two_versions, tmp_path):
    with live_server(two_versions, tmp_path, versions=[1, 2], labels={"stable": 1, "canary": 2}) as running:
        for label, version in (("stable", 1), ("canary", 2)):
            for client in running.clients(label=label):
                wait_for(lambda: answering(client, *running.golden(version)))  # noqa: B023
        running.write(versions=[1, 2], labels={"stable": 2})
        for client in running.clients(label="stable"):
            wait_for(lambda: answering(client, *running.golden(2)))  # noqa: B023
        for client in running.clients(label="canary"):
            with pytest.raises(RequestError) as caught:
                client.metadata()
            assert caught.value.code == "INVALID_ARGUMENT"


def test_a_label_does_not_move_to_a_version_that_is_not_loaded(two_versions, tmp_path):
    """The edit is refused, and its version is not loaded; with an edit that selects the version first, both work."""
    with live_server(two_versions, tmp_path, versions=[1], labels={"stable": 1}) as running:
        running.write(versions=[1, 2], labels={"stable": 2})
        stable = running.clients(label="stable")[0]
        for _ in range(60):
            assert answering(stable, *running.golden(1))
            time.sleep(0.05)  # three seconds: the server has read the file by then
        assert [status.version for status in running.clients()[0].status()] == [1]
        running.write(versions=[1, 2], labels={"stable": 1})
        with running.clients(version=2)[0] as client:
            wait_for(client.metadata)
        running.write(versions=[1, 2], labels={"stable": 2})
        wait_for(lambda: answering(stable, *running.golden(2)))


def test_an_unreadable_configuration_changes_nothing(two_versions, tmp_path):
    with live_server(two_versions, tmp_path, versions=[1, 2], labels={"stable": 1}) as running:
        running.config.write_text("model_config_list {")
        stable = running.clients(label="stable")[0]
        for _ in range(10):
            assert answering(stable, *running.golden(1))
            time.sleep(0.05)
        running.write(versions=[1, 2], labels={"stable": 2})
        wait_for(lambda: answering(stable, *running.golden(2)))


def test_a_broken_version_does_not_replace_a_working_one(two_versions, tmp_path):
    models = copied(two_versions, tmp_path / "models", 1)
    with live_server(models, tmp_path, versions=[1]) as running:
        broken = tmp_path / "models" / NAME / "2"
        copied(two_versions, tmp_path / "new", 2)
        (tmp_path / "new" / NAME / "2" / "variables/variables.index").write_bytes(b"broken")
        (tmp_path / "new" / NAME / "2").rename(broken)
        running.write(versions=[2])
        client = running.clients()[0]
        failed = wait_for(lambda: [each for each in client.status() if each.version == 2 and each.error])
        assert failed[0].state == "END"
        assert answering(client, *running.golden(1))


def test_a_model_without_versions_is_logged_at_the_start(tmp_path, caplog):
    (tmp_path / "models.config").write_text(models_config(tmp_path, versions=[1]))
    open_models(tmp_path / "models.config").close()
    assert f"model '{NAME}' has no version to serve in {tmp_path / NAME} yet" in caplog.text


def test_shared_features_are_sent_once(live):
    """The user is the ``context``; an example's own value replaces it."""
    rows = json.loads((live.models / NAME / "1/assets.extra/golden_requests.json").read_text())["instances"][:3]
    user = {name: rows[0][name] for name in ("user_id", "country")}
    items = [{name: value for name, value in row.items() if name not in user} for row in rows]
    url, whole = f"http://{live.rest}/{URL}:regress", [row | user for row in rows]
    expected = live.clients()[0].regress(Regress([*whole[:2], rows[2]]))
    body = {"signature_name": "regress", "context": user, "examples": [*items[:2], rows[2]]}
    found = requests.post(url, data=json.dumps(body), timeout=20).json()["results"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert requests.post(url, data=json.dumps(body | {"context": 5}), timeout=20).status_code == 400
