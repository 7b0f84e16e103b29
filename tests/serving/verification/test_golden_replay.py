"""Golden requests read back from their file."""

import numpy as np
import pytest
from fake_server import FakeClient

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.serving.exporting.prediction_logs import (
    prediction_log,
    serialize_examples,
    write_prediction_logs,
)
from tfrs_pretrain.serving.verification.golden_replay import read_golden_requests

INPUTS = {"user_id": RawInput("int64", required=True), "item_id": RawInput("string", required=True),
          "price": RawInput("float32")}
RAW = {"user_id": np.array([1, 2]), "item_id": np.array(["a", "b"], object),
       "price": np.array([0.5, np.nan], np.float32)}


class Recorder(FakeClient):
    """Keeps the requests that it receives."""

    def predict(self, request):
        self.request = request
        return super().predict(request)

    classify = regress = predict


@pytest.fixture
def replays(tmp_path):
    examples = {"inputs": serialize_examples(RAW, INPUTS)}
    scores = np.array([0.25, 0.75], np.float32)
    write_prediction_logs(tmp_path / "golden", [
        prediction_log("m", "serving_default", RAW, {"score": scores}),
        prediction_log("m", "classify", examples, {"classes": np.array([["yes"], ["yes"]], object),
                                                   "scores": scores[:, None]}),
        prediction_log("m", "regress", examples, {"outputs": scores})])
    return read_golden_requests(tmp_path / "golden")


def test_signatures_and_expected_outputs(replays):
    assert [(replay.signature, replay.num_rows) for replay in replays] == [
        ("serving_default", 2), ("classify", 2), ("regress", 2)]
    assert replays[0].outputs["score"].tolist() == [0.25, 0.75]
    assert replays[1].outputs["classes"].tolist() == [["yes"], ["yes"]]
    assert replays[1].outputs["scores"].tolist() == [[0.25], [0.75]]
    assert replays[2].outputs["outputs"].tolist() == [0.25, 0.75]


def test_predict_sends_the_stored_tensors(replays):
    client = Recorder({"score": np.zeros(2)})
    replays[0].send(client)
    tensors = client.request.tensors()
    assert tensors["user_id"].tolist() == [1, 2]
    assert tensors["item_id"].tolist() == [b"a", b"b"]
    np.testing.assert_array_equal(tensors["price"], RAW["price"])


def test_classify_and_regress_send_the_stored_examples_without_missing_values(replays):
    client = Recorder([[("yes", 0.5)], [("yes", 0.25)]])
    answer = replays[1].send(client)
    assert answer["scores"].tolist() == [[0.5], [0.25]]
    assert client.request.signature == "classify"
    assert client.request.examples == [{"user_id": [1], "item_id": [b"a"], "price": [0.5]},
                                       {"user_id": [2], "item_id": [b"b"]}]
    regressor = Recorder(np.array([1.0, 2.0]))
    assert replays[2].send(regressor)["outputs"].tolist() == [1.0, 2.0]
    assert regressor.request.examples == client.request.examples


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"golden requests '.*absent' are missing: export the model again"):
        read_golden_requests(tmp_path / "absent")
