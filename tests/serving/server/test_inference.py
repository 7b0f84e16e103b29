"""Inference requests on a tiny model."""

import pytest
import tensorflow as tf
from tiny_models import save_scaler

from tfrs_pretrain.serving.client.tf_examples import to_example
from tfrs_pretrain.serving.protocol.messages import (
    ClassificationRequest,
    InferenceTask,
    Input,
    MultiInferenceRequest,
    PredictionLog,
    PredictRequest,
    RegressionRequest,
)
from tfrs_pretrain.serving.server import inference
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import StatusError
from tfrs_pretrain.serving.server.request_limits import RequestLimits


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = CheckedModel(save_scaler(tmp_path_factory.mktemp("scaler") / "1"), RequestLimits())
    yield model
    model.close()


def examples(*rows, context=None):
    message = Input()
    target = message.example_list_with_context if context else message.example_list
    target.examples.extend(to_example(row) for row in rows)
    if context:
        target.context.CopyFrom(to_example(context))
    return message


def predict_request(signature="", **inputs):
    request = PredictRequest()
    request.model_spec.signature_name = signature
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, tf.float32))
    return request


def test_predict(model):
    outputs = inference.predict(model, predict_request(x=[1, 2], shift=[10])).outputs
    assert tf.make_ndarray(outputs["scaled"]).tolist() == [12, 14]
    filtered = predict_request(x=[1], shift=[0])
    filtered.output_filter.append("shifted")
    assert list(inference.predict(model, filtered).outputs) == ["shifted"]


def test_a_missing_signature_has_its_own_code_in_predict(model):
    with pytest.raises(StatusError, match="serving signature key 'absent' not found") as caught:
        inference.predict(model, predict_request("absent", x=[1], shift=[0]))
    assert caught.value.code == "FAILED_PRECONDITION"


@pytest.mark.parametrize(("shape", "words"), [
    ([1 << 20], "batch of 1048576"), ([(1 << 20) + 1], "'x': its shape has 1048577 values, but its message only"),
    ([1 << 40, 1 << 40], "its message only"), ([1 << 10, 1 << 11], "its message only")])
def test_a_short_message_does_not_become_a_large_tensor(model, shape, words):
    """The last value of a message fills the rest of its shape."""
    request = predict_request(x=[1], shift=[0])
    request.inputs["x"].tensor_content = b""
    request.inputs["x"].float_val[:] = [1]
    request.inputs["x"].tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    with pytest.raises(StatusError, match=words) as caught:
        inference.predict(model, request)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_large_message_is_a_large_tensor(model):
    request = predict_request(x=[1.0] * 90_000, shift=[0])
    assert tf.make_ndarray(inference.predict(model, request).outputs["scaled"]).shape == (90_000,)


def test_a_broken_tensor_names_its_input(model):
    request = predict_request(x=[1], shift=[0])
    request.inputs["x"].tensor_shape.dim[0].size = 7
    request.inputs["x"].tensor_content = b"\0"
    with pytest.raises(StatusError, match="input 'x': 1 bytes do not fill shape"):
        inference.predict(model, request)


def test_classify_and_regress(model):
    request = ClassificationRequest(input=examples({"x": 1.0}, {"x": 3.0}))
    request.model_spec.signature_name = "classify"
    result = inference.classify(model, request).result.classifications
    assert [[(item.label, item.score) for item in example.classes] for example in result] == [
        [("low", 2.0), ("high", 4.0)], [("low", 6.0), ("high", 12.0)]]
    request = RegressionRequest(input=examples({"x": 1.0}, {"x": 3.0}))
    request.model_spec.signature_name = "regress"
    assert [each.value for each in inference.regress(model, request).result.regressions] == [2.0, 6.0]


def test_shared_features_are_merged_and_the_examples_own_value_wins(model):
    request = RegressionRequest(input=examples({"x": 1.0}, {"x": 1.0, "shift": 5.0}, context={"shift": 100.0}))
    request.model_spec.signature_name = "regress"
    assert [each.value for each in inference.regress(model, request).result.regressions] == [102.0, 7.0]


@pytest.mark.parametrize("message", [Input(), examples(), examples(context={"x": 1.0})])
def test_no_examples_are_refused(message):
    with pytest.raises(StatusError, match="input is empty"):
        inference.serialized_examples(message)


def task(signature, method, name="m"):
    result = InferenceTask(method_name=f"tensorflow/serving/{method}")
    result.model_spec.name, result.model_spec.signature_name = name, signature
    return result


def test_multi_inference_answers_in_the_order_of_the_tasks(model):
    request = MultiInferenceRequest(tasks=[task("regress", "regress"), task("classify", "classify")],
                                    input=examples({"x": 1.0}))
    first, second = inference.multi_inference(model, request).results
    assert first.regression_result.regressions[0].value == 2.0
    assert second.classification_result.classifications[0].classes[1].score == 4.0


@pytest.mark.parametrize(("tasks", "code", "message"), [
    ([task("regress", "regress"), task("regress", "regress")], "INVALID_ARGUMENT", "duplicate evaluation of signature"),
    ([task("regress", "regress"), task("classify", "classify", "n")], "INVALID_ARGUMENT", "the same model name"),
    ([task("serving_default", "predict")], "UNIMPLEMENTED", "unsupported signature method_name"),
    ([task("classify", "regress")], "INVALID_ARGUMENT", "'classify' has method"),
    ([task("", "regress"), task("serving_default", "classify")], "INVALID_ARGUMENT", "'serving_default' has method")])
def test_multi_inference_refuses(model, tasks, code, message):
    with pytest.raises(StatusError, match=message) as caught:
        inference.multi_inference(model, MultiInferenceRequest(tasks=tasks, input=examples({"x": 1.0})))
    assert caught.value.code == code


def test_warm_up_replays_every_kind_of_log(model):
    logs = [PredictionLog() for _ in range(4)]
    logs[0].predict_log.request.CopyFrom(predict_request(x=[1], shift=[0]))
    logs[1].classify_log.request.input.CopyFrom(examples({"x": 1.0}))
    logs[1].classify_log.request.model_spec.signature_name = "classify"
    logs[2].regress_log.request.input.CopyFrom(examples({"x": 1.0}))
    logs[2].regress_log.request.model_spec.signature_name = "regress"
    logs[3].multi_inference_log.request.CopyFrom(
        MultiInferenceRequest(tasks=[task("regress", "regress")], input=examples({"x": 1.0})))
    for log in logs:
        inference.replay(model, log)
    for log in logs[:3]:
        broken = PredictionLog.FromString(log.SerializeToString())
        getattr(broken, broken.WhichOneof("log_type")).request.model_spec.signature_name = "absent"
        with pytest.raises(StatusError, match="absent"):
            inference.replay(model, broken)
    with pytest.raises(StatusError, match="warm-up record of kind"):
        inference.replay(model, PredictionLog())
