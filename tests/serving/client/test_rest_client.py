"""JSON values of the REST client, and errors of its responses."""

import base64
import json

import numpy as np
import pytest
import requests

from tfrs_pretrain.serving.client import Classify, Model, Predict, RequestError, RestClient, RetryPolicy
from tfrs_pretrain.serving.client.errors import HTTP_STATUS, code_of_status
from tfrs_pretrain.serving.client.rest_client import from_json, to_json

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def respond(monkeypatch):
    """Makes every request return this status and content; collects the requests."""
    sent = []

    def prepare(content, status=200):
        def request(self, method, url, data=None, timeout=None):
            sent.append((method, url, json.loads(data) if data else None, timeout))
            response = requests.Response()
            response.status_code = status
            response._content = content if isinstance(content, bytes) else json.dumps(content).encode()
            return response

        monkeypatch.setattr(requests.Session, "request", request)
        return sent

    return prepare


@pytest.mark.parametrize(("values", "expected"), [
    (np.array([1, 2**62]), [1, 2**62]), (np.array([[0.5]], np.float32), [[0.5]]),
    (np.array(["ä", b"b"], object), ["ä", "b"]), (np.array([[b"\xff"]], object), [[{"b64": "/w=="}]]),
    (np.empty((0, 2), object), []), (np.array(b"x", object), "x")])
def test_arrays_as_json(values, expected):
    assert to_json(values) == expected


def test_bytes_survive_base64():
    value = bytes(range(256))
    assert base64.b64decode(to_json(np.array([value], object))[0]["b64"]) == value


@pytest.mark.parametrize(("values", "dtype"), [
    ([1, 2], np.int64), ([[0.5, 1]], np.float32), (["a"], object), ([], np.float32), ([float("nan")], np.float32)])
def test_json_as_arrays(values, dtype):
    assert from_json(values).dtype == dtype
    assert from_json(["ä"]).tolist() == ["ä".encode()]


@pytest.mark.parametrize(("model", "address", "url"), [
    (Model("m"), "h:1", "http://h:1/v1/models/m"), (Model("m", version=0), "h:1", "http://h:1/v1/models/m/versions/0"),
    (Model("a/b", label="x/y"), "https://h/base/", "https://h/base/v1/models/a%2Fb/labels/x%2Fy")])
def test_urls(respond, model, address, url):
    sent = respond({"model_version_status": []})
    with RestClient(address, model) as client:
        client.status()
    assert sent[0][:2] == ("GET", url)


def test_a_single_output_without_a_name_gets_it_from_the_metadata(respond, monkeypatch):
    sent = respond({"outputs": [0.5, 0.25]})
    with RestClient("h:1", Model("m")) as client:
        names = []

        def only_output(signature):
            names.append(signature)
            return "score"

        monkeypatch.setattr(client, "_only_output", only_output)
        found = client.predict(Predict({"x": [1, 2]}))
    assert {name: values.tolist() for name, values in found.items()} == {"score": [0.5, 0.25]}
    assert names == ["serving_default"]
    assert sent[0][2] == {"signature_name": "serving_default", "inputs": {"x": [1, 2]}}


def test_examples_are_sent_without_missing_features(respond):
    sent = respond({"results": [[["a", 0.5]]]})
    with RestClient("h:1", Model("m")) as client:
        found = client.classify(Classify([{"a": None, "b": np.int64(1), "c": ("x", b"\xff"), "d": np.array([0.5])}]))
    assert found == [[("a", 0.5)]]
    assert sent[0][2]["examples"] == [{"b": 1, "c": ["x", {"b64": "/w=="}], "d": [0.5]}]


def test_status_of_a_failed_version(respond):
    respond({"model_version_status": [
        {"version": "2", "state": "END", "status": {"error_code": "NOT_FOUND", "error_message": "gone"}},
        {"version": "1", "state": "AVAILABLE", "status": {}}]})
    with RestClient("h:1", Model("m")) as client:
        assert [(each.version, each.state, each.error) for each in client.status()] == [
            (2, "END", "gone"), (1, "AVAILABLE", "")]


@pytest.mark.parametrize(("content", "status", "code", "words"), [
    ({"error": "no such model"}, 404, "NOT_FOUND", "no such model"), ({"odd": 1}, 400, "INVALID_ARGUMENT", "odd"),
    (b"<html>bad gateway</html>", 502, "UNKNOWN", "bad gateway"), (b"not json", 200, "UNKNOWN", "not json"),
    (b"x" * 1000, 503, "UNAVAILABLE", "x" * 300)])
def test_errors_keep_code_and_message(respond, content, status, code, words):
    respond(content, status)
    with RestClient("h:1", Model("m"), retries=ONCE) as client, pytest.raises(RequestError, match=words) as caught:
        client.metadata()
    assert caught.value.code == code
    assert len(caught.value.message) <= 300


def test_every_status_translates_back_to_a_code_that_has_it():
    for status in set(HTTP_STATUS.values()):
        assert HTTP_STATUS[code_of_status(status)] == status
    assert [code_of_status(status) for status in (400, 409, 500, 418)] == [
        "INVALID_ARGUMENT", "ABORTED", "INTERNAL", "UNKNOWN"]


def test_an_error_in_several_lines_becomes_one():
    assert str(RequestError("INTERNAL", "a\n  b", "h:1")) == "server h:1 answers INTERNAL: a b"
