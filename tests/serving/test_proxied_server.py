"""Complete requests through the proxy to a model server."""

import json

import numpy as np
import pytest
import requests
from live_servers import NAME, answering
from proxies import Proxy, needs_nginx

from tfrs_pretrain.serving.client import GrpcClient, Model, RestClient

pytestmark = needs_nginx


@pytest.fixture(scope="module")
def proxy(live, tmp_path_factory):
    behind = [int(address.split(":")[1]) for address in (live.grpc, live.rest)]
    running = Proxy(tmp_path_factory.mktemp("proxy"), behind)
    yield running
    running.close()


def body(columns, **changes):
    """A REST request; a text among the changes is JSON."""
    fields = {name: json.dumps(values) for name, values in columns.items()} | changes
    return '{"inputs": {' + ", ".join(f'"{name}": {values}' for name, values in fields.items()) + "}}"


def post(proxy, request):
    return requests.post(f"http://{proxy.rest}/v1/models/{NAME}:predict", data=request, timeout=60)


@pytest.mark.parametrize("kind", [GrpcClient, RestClient])
def test_requests_return_the_stored_scores(live, proxy, kind):
    with kind(getattr(proxy, "grpc" if kind is GrpcClient else "rest"), Model(NAME), timeout=60) as client:
        assert answering(client, *live.golden())
        assert client.status()[0].version == client.metadata().version == 1


def test_a_complete_request_with_one_deep_column_does_not_reach_the_server(live, proxy):
    """Sent to TensorFlow Serving directly, this request ends its process."""
    columns, scores = live.golden()
    refused = post(proxy, body(columns, user_id="[" * 20_000 + "1" + "]" * 20_000))
    assert (refused.status_code, refused.json()) == (400, {"error": "the JSON is nested more than 32 levels deep"})
    # A depth that passes is refused by the server, which is still there.
    assert "more than 32" not in post(proxy, body(columns, user_id="[" * 29 + "1" + "]" * 29)).json()["error"]
    found = post(proxy, body(columns)).json()["outputs"]
    np.testing.assert_allclose(found, scores, rtol=0, atol=1e-5)
