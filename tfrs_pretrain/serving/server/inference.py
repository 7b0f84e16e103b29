"""Inference requests on a loaded model: Predict, Classify, Regress, MultiInference and warm-up records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tfrs_pretrain.serving.protocol.messages import (
    ClassificationRequest,
    ClassificationResponse,
    InferenceResult,
    InferenceTask,
    Input,
    MultiInferenceRequest,
    MultiInferenceResponse,
    PredictionLog,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
)
from tfrs_pretrain.serving.protocol.signature_names import CLASSIFY, METHODS, REGRESS, SERVING_DEFAULT
from tfrs_pretrain.serving.protocol.tensor_protos import from_proto, to_proto
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import StatusError, invalid_argument

MAX_FILLED = 1 << 20  # values of a tensor whose message contains fewer values than its shape has


def predict(model: CheckedModel, request: PredictRequest) -> PredictResponse:
    """Runs a signature on feature tensors.

    Raises:
      StatusError: the request does not match the signature.
    """
    name = request.model_spec.signature_name
    inputs = _input_tensors(request)
    if name not in ("", *model.signatures):
        # TensorFlow Serving uses this code here, and INVALID_ARGUMENT for a missing signature everywhere else.
        raise StatusError("FAILED_PRECONDITION", f"serving signature key {name!r} not found")
    response = PredictResponse()
    for output, values in model.run(model.signature(name), inputs, request.output_filter).items():
        response.outputs[output].CopyFrom(to_proto(values))
    return response


def classify(model: CheckedModel, request: ClassificationRequest) -> ClassificationResponse:
    """Returns label and score of every class, for each ``tf.Example``.

    Raises:
      StatusError: the request does not match the signature.
    """
    signature = model.signature(request.model_spec.signature_name, method=CLASSIFY)
    examples = serialized_examples(request.input)
    outputs = model.run_examples(signature, examples)
    response = ClassificationResponse()
    for position in range(len(examples)):
        classes = response.result.classifications.add()
        for label, score in _classes(outputs, position):
            classes.classes.add(label=label, score=score)
    return response


def regress(model: CheckedModel, request: RegressionRequest) -> RegressionResponse:
    """Returns one number for each ``tf.Example``.

    Raises:
      StatusError: the request does not match the signature.
    """
    signature = model.signature(request.model_spec.signature_name, method=REGRESS)
    examples = serialized_examples(request.input)
    values = model.run_examples(signature, examples)["outputs"].reshape(len(examples))
    response = RegressionResponse()
    for value in values.tolist():
        response.result.regressions.add(value=value)
    return response


def multi_inference(model: CheckedModel, request: MultiInferenceRequest) -> MultiInferenceResponse:
    """Classifies and regresses the same examples with several signatures.

    Returns:
      One result for each task, in the order of the tasks.

    Raises:
      StatusError: tasks name different models, the same signature twice, or another method.
    """
    response, signatures = MultiInferenceResponse(), set[str]()
    for task in request.tasks:
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid_argument("all ModelSpecs in a MultiInferenceRequest must access the same model name")
        if task.method_name not in METHODS.values():
            raise StatusError("UNIMPLEMENTED", f"unsupported signature method_name: {task.method_name}")
        signature = task.model_spec.signature_name or SERVING_DEFAULT
        if signature in signatures:
            raise invalid_argument(f"duplicate evaluation of signature: {signature}")
        signatures.add(signature)
        response.results.append(_run_task(model, task, request.input))
    return response


def _run_task(model: CheckedModel, task: InferenceTask, examples: Input) -> InferenceResult:
    if task.method_name == METHODS[CLASSIFY]:
        classification = ClassificationRequest(model_spec=task.model_spec, input=examples)
        return InferenceResult(classification_result=classify(model, classification).result)
    regression = RegressionRequest(model_spec=task.model_spec, input=examples)
    return InferenceResult(regression_result=regress(model, regression).result)


def serialized_examples(message: Input) -> list[bytes]:
    """Returns the serialized examples of a request, each merged with the features that all examples share.

    Raises:
      StatusError: INVALID_ARGUMENT, there are no examples.
    """
    kind = message.WhichOneof("kind")
    example_list = getattr(message, kind) if kind else None
    if not example_list or not example_list.examples:
        raise invalid_argument("input is empty: expected at least one example")
    context = example_list.context.SerializeToString() if kind == "example_list_with_context" else b""
    # Concatenated messages merge, and the later one replaces features of the same name: the example's own value wins.
    return [context + example.SerializeToString() for example in example_list.examples]


def replay(model: CheckedModel, log: PredictionLog) -> None:
    """Runs a recorded request, as TensorFlow Serving does for warm-up.

    Raises:
      StatusError: the request fails, or its kind is not supported.
    """
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        predict(model, log.predict_log.request)
    elif kind == "classify_log":
        classify(model, log.classify_log.request)
    elif kind == "regress_log":
        regress(model, log.regress_log.request)
    elif kind == "multi_inference_log":
        multi_inference(model, log.multi_inference_log.request)
    else:
        raise StatusError("UNIMPLEMENTED", f"warm-up record of kind {kind!r}")


def _input_tensors(request: PredictRequest) -> dict[str, np.ndarray]:
    inputs = {}
    for name, tensor in request.inputs.items():
        _check_size(name, tensor)
        try:
            inputs[name] = from_proto(tensor)
        except ValueError as error:
            raise invalid_argument(f"input {name!r}: {error}") from error
    return inputs


def _check_size(name: str, tensor: Any) -> None:
    """Refuses a tensor that is much larger than its message: 30 bytes could otherwise take gigabytes of memory."""
    size, num_bytes = math.prod(dim.size for dim in tensor.tensor_shape.dim), tensor.ByteSize()
    if size > max(num_bytes, MAX_FILLED):
        raise invalid_argument(f"input {name!r}: its shape has {size} values, but its message only {num_bytes} bytes")


def _classes(outputs: dict[str, np.ndarray], position: int) -> list[tuple[str, float]]:
    """(label, score) pairs of one example; a model may lack labels (then "") or scores (then 0)."""
    scores = outputs["scores"][position].tolist() if "scores" in outputs else []
    labels = [label.decode(errors="replace") for label in outputs["classes"][position]] if "classes" in outputs else []
    return list(zip(labels or [""] * len(scores), scores or [0.0] * len(labels), strict=True))
