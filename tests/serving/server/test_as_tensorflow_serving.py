"""Details in which the development server must match TensorFlow Serving: status codes, response forms, rare calls."""

import json

import grpc
import numpy as np
import pytest
import requests
from live_servers import NAME, live_server
from tensorflow_serving.apis import inference_pb2, model_pb2
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tfrs_pretrain.serving.client import Classify, GrpcClient, Model, Regress
from tfrs_pretrain.serving.client.tf_examples import to_example

URL = f"v1/models/{NAME}"
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.fixture
def channel(live):
    with grpc.insecure_channel(live.grpc) as opened:
        yield opened


@pytest.fixture
def rows(live):
    return json.loads((live.models / NAME / "1/assets.extra/golden_requests.json").read_text())["instances"][:3]


def task(signature, method, name=NAME):
    return inference_pb2.InferenceTask(model_spec=model_pb2.ModelSpec(name=name, signature_name=signature),
                                       method_name=method)


def multi(rows, *tasks):
    request = inference_pb2.MultiInferenceRequest(tasks=tasks)
    request.input.example_list.examples.extend(to_example(row) for row in rows)
    return request


def test_one_input_is_classified_and_regressed_in_one_call(live, channel, rows):
    request = multi(rows, task("regress", REGRESS), task("classify", CLASSIFY))
    first, second = PredictionServiceStub(channel).MultiInference(request, timeout=20).results
    assert [first.WhichOneof("result"), second.WhichOneof("result")] == ["regression_result", "classification_result"]
    assert [(each.model_spec.signature_name, each.model_spec.version.value) for each in (first, second)] == [
        ("regress", 1), ("classify", 1)]
    with GrpcClient(live.grpc, Model(NAME)) as client:
        np.testing.assert_allclose([each.value for each in first.regression_result.regressions],
                                   client.regress(Regress(rows)), rtol=0, atol=1e-6)
        assert [[(each.label, pytest.approx(each.score)) for each in row.classes]
                for row in second.classification_result.classifications] == client.classify(Classify(rows))


@pytest.mark.parametrize(("tasks", "code", "words"), [
    ([], "INVALID_ARGUMENT", "(?i)model"),
    ([task("regress", REGRESS), task("classify", CLASSIFY, name="other")], "INVALID_ARGUMENT", "same"),
    ([task("regress", REGRESS), task("regress", REGRESS)], "INVALID_ARGUMENT", "(?i)duplicate"),
    ([task("regress", CLASSIFY)], "INVALID_ARGUMENT", "method"),
    ([task("absent", REGRESS)], "INVALID_ARGUMENT", "absent"),
    ([task("serving_default", "tensorflow/serving/predict")], "UNIMPLEMENTED", "(?i)unsupported"),
    ([task("regress", REGRESS, name="absent")], "NOT_FOUND", "absent")])
def test_multi_inference_refuses_invalid_tasks(channel, rows, tasks, code, words):
    with pytest.raises(grpc.RpcError, match=words) as caught:
        PredictionServiceStub(channel).MultiInference(multi(rows, *tasks), timeout=20)
    assert caught.value.code().name == code


def test_metadata_contain_only_model_and_version(live, channel):
    spec = model_pb2.ModelSpec(name=NAME)
    asked = GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
    answer = PredictionServiceStub(channel).GetModelMetadata(asked, timeout=20)
    assert (answer.model_spec.name, answer.model_spec.version.value) == (NAME, 1)
    assert not answer.model_spec.signature_name
    body = requests.get(f"http://{live.rest}/{URL}/metadata", timeout=20).json()
    assert body["model_spec"] == {"name": NAME, "signature_name": "", "version": "1"}
    assert list(body["metadata"]) == ["signature_def"]
    assert list(body["metadata"]["signature_def"]) == ["signature_def"]
    with pytest.raises(grpc.RpcError) as caught:
        PredictionServiceStub(channel).GetModelMetadata(GetModelMetadataRequest(model_spec=spec), timeout=20)
    assert caught.value.code().name == "INVALID_ARGUMENT"


def test_a_refused_configuration_fails_the_call(two_versions, tmp_path):
    """TensorFlow Serving does not return OK with an error status in the response."""
    with (live_server(two_versions, tmp_path, versions=[1], labels={"stable": 1}) as running,
          grpc.insecure_channel(running.grpc) as opened):
        stub = ModelServiceStub(opened)
        with pytest.raises(grpc.RpcError, match=r"(?i)only") as caught:
            stub.HandleReloadConfigRequest(ReloadConfigRequest(), timeout=20)
        assert caught.value.code().name == "INVALID_ARGUMENT"
        early = ReloadConfigRequest()
        model = early.config.model_config_list.config.add(name=NAME, model_platform="tensorflow",
                                                          base_path=str(two_versions / NAME))
        model.model_version_policy.specific.versions[:] = [1]
        good = ReloadConfigRequest.FromString(early.SerializeToString())
        model.version_labels["stable"] = 9
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(early, timeout=20)
        assert caught.value.code().name == "FAILED_PRECONDITION"
        assert stub.HandleReloadConfigRequest(good, timeout=20).status.error_code == 0


def test_unknown_inputs_are_ignored_in_columns_and_refused_in_rows(live, rows):
    url = f"http://{live.rest}/{URL}:predict"
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    expected = requests.post(url, data=json.dumps({"inputs": columns}), timeout=20).json()
    assert requests.post(url, data=json.dumps({"inputs": columns | {"bogus": [1]}}), timeout=20).json() == expected
    more = requests.post(url, data=json.dumps({"instances": [row | {"bogus": 1} for row in rows]}), timeout=20)
    assert more.status_code == 400
    assert "bogus" in more.json()["error"]


@pytest.mark.parametrize(("number", "taken"), [
    (16777215, True), (16777216, False), (16777216.0, True), (-16777216, False)])
def test_integers_that_float32_rounds_are_refused(live, rows, number, taken):
    columns = {name: [row[name] for row in rows[:1]] for name in rows[0]} | {"quality": [number]}
    answer = requests.post(f"http://{live.rest}/{URL}:predict", data=json.dumps({"inputs": columns}), timeout=20)
    assert answer.ok == taken, answer.json()


def test_booleans_and_null_in_examples(live, rows):
    """true is 1; null is refused."""
    def asked(user):
        body = {"signature_name": "regress", "examples": [rows[0] | {"user_id": user}]}
        return requests.post(f"http://{live.rest}/{URL}:regress", data=json.dumps(body), timeout=20)

    assert asked(True).json() == asked(1).json()
    assert asked(True).ok
    assert asked(None).status_code == 400


def test_unknown_paths_are_not_found(live):
    assert requests.get(f"http://{live.rest}/v1/bogus", timeout=20).status_code == 400
    assert requests.get(f"http://{live.rest}/favicon.ico", timeout=20).status_code == 404
