"""The verification detects every difference between a server and an export."""

import json
import shutil

import pytest
from live_servers import BINARY, NAME, copied, live_server, models_config
from resealed import reseal_version, rewrite
from rich.console import Console

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.verification.load_generator import LoadSpec
from tfrs_pretrain.serving.verification.result_table import show
from tfrs_pretrain.serving.verification.run import ServerAddress, verify

SIGNATURES = {"serving_default", "rank", "predict_examples", "classify", "regress", "user_embedding", "item_embedding"}
NONE = LoadSpec(requests=0)


def verified(live, folder=None, **options):
    given = {"models_config": None, "load": NONE, "signature": "serving_default"} | options
    return verify(ServerAddress(live.grpc, live.rest), folder or live.models / NAME / "1", **given)


def failed(result):
    return {(check.transport, check.what): check.received for check in result.checks if not check.passed}


def test_an_exported_version_passes(live, capsys):
    result = verified(live, load=LoadSpec(requests=40, concurrency=4))
    assert failed(result) == {}
    assert result.passed is True
    for transport in ("gRPC", "REST"):
        golden = {check.what for check in result.checks if check.transport == transport}
        assert {f"golden {name}" for name in SIGNATURES} <= golden
        load = result.load[transport]
        assert load.requests == 40
        assert load.failures == {}
        latency = load.latency_ms
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    show(result, Console(width=200))
    assert f"all {len(result.checks)} checks passed" in capsys.readouterr().out


def test_another_model_with_the_same_version_fails(live, two_versions, tmp_path):
    """Version 2's golden requests against version 1."""
    other = copied(two_versions, tmp_path, 2) / NAME
    (other / "2").rename(other / "1")
    manifest = other / "1/assets.extra/manifest.json"
    rewrite(manifest, json.loads(manifest.read_text()) | {"version": 1})
    differences = failed(verified(live, other / "1", load=LoadSpec(requests=8)))
    for transport in ("gRPC", "REST"):
        assert "largest difference" in differences[transport, "golden serving_default"]
        assert (transport, "golden user_embedding") in differences


def test_a_version_that_is_not_served_fails(live):
    result = verified(live, live.models / NAME / "2", load=LoadSpec(requests=8))
    assert "NOT_FOUND" in failed(result)["gRPC", "version 2"]
    assert result.load == {}


def test_labels_are_compared(two_versions, tmp_path):
    wanted = tmp_path / "wanted.config"
    wanted.write_text(models_config(two_versions, versions=[1, 2], labels={"stable": 1, "canary": 2, "absent": 1}))
    with live_server(two_versions, tmp_path, versions=[1, 2], labels={"stable": 2, "canary": 2}) as running:
        differences = failed(verified(running, models_config=wanted))
    assert {what for _, what in differences} == {"label 'stable'", "label 'absent'"}
    assert differences["gRPC", "label 'stable'"] == differences["REST", "label 'stable'"] == "version 2"


def test_other_signatures_fail(live, two_versions, tmp_path):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    folder = copied(two_versions, tmp_path, 1) / NAME / "1"
    graph = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signatures = graph.meta_graphs[0].signature_def
    signatures["serving_default"].inputs["quality"].dtype = 9
    signatures["more"].CopyFrom(signatures["rank"])
    (folder / "saved_model.pb").write_bytes(graph.SerializeToString())
    reseal_version(folder)
    differences = failed(verified(live, folder))
    assert {what for _, what in differences} == {"signatures", "inputs and outputs of serving_default"}
    assert "quality: float32" in differences["REST", "inputs and outputs of serving_default"]


def test_the_load_is_bounded(live):
    load = verified(live, load=LoadSpec(requests=20, concurrency=3, max_qps=50)).load["gRPC"]
    assert load.requests == 20
    assert load.requests_per_second < 60


@pytest.mark.parametrize(("options", "message"), [
    ({"requests": -1}, "load of -1 requests"), ({"concurrency": 0}, "0 clients"),
    ({"concurrency": 1000}, "1000 clients"), ({"max_qps": 0.0}, "more than 0")])
def test_invalid_loads_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        LoadSpec(**options)


def test_invalid_version_folders_are_refused(live, tmp_path):
    with pytest.raises(UserError, match=r"signature 'x' has no golden request: choose from \['classify'"):
        verified(live, signature="x")
    with pytest.raises(UserError, match="does not exist"):
        verified(live, tmp_path / "absent")
    folder = tmp_path / NAME / "7"
    shutil.copytree(live.models / NAME / "1", folder)
    with pytest.raises(UserError, match="was exported as version 1"):
        verified(live, folder)


@pytest.mark.skipif(bool(BINARY), reason="a server that differs is made of the development server")
def test_a_server_that_refuses_some_requests_fails(live, monkeypatch):
    from tfrs_pretrain.serving.server import inference
    from tfrs_pretrain.serving.server.errors import StatusError

    real, counted = inference.predict, []

    def sometimes(model, request):
        counted.append(1)
        if len(counted) % 10 == 0:
            raise StatusError("RESOURCE_EXHAUSTED", "busy")
        return real(model, request)

    monkeypatch.setattr(inference, "predict", sometimes)
    result = verify(ServerAddress(live.grpc), live.models / NAME / "1", models_config=None, load=LoadSpec(requests=50),
                    signature="serving_default")
    assert result.passed is False
    assert result.load["gRPC"].failures["RESOURCE_EXHAUSTED"] >= 4
