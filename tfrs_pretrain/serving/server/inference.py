"""What a loaded model answers to each kind of request, whichever way it came."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.serving.protocol.messages import (
    ClassificationRequest,
    ClassificationResponse,
    Input,
    MultiInferenceRequest,
    MultiInferenceResponse,
    PredictionLog,
    PredictRequest,
    PredictResponse,
    RegressionRequest,
    RegressionResponse,
)
from tfrs_pretrain.serving.protocol.signature_names import METHODS, SERVING_DEFAULT
from tfrs_pretrain.serving.protocol.tensor_protos import from_proto, to_proto
from tfrs_pretrain.serving.server.checked_model import CheckedModel
from tfrs_pretrain.serving.server.errors import StatusError, invalid_argument


def predict(model: CheckedModel, request: PredictRequest) -> PredictResponse:
    """Feature tensors -> tensors."""
    response = PredictResponse()
    for name, values in predict_tensors(model, request).items():
        response.outputs[name].CopyFrom(to_proto(values))
    return response


def predict_tensors(model: CheckedModel, request: PredictRequest) -> dict[str, np.ndarray]:
    """The same before the outputs become messages."""
    inputs = {}
    for name, tensor in request.inputs.items():
        try:
            inputs[name] = from_proto(tensor)
        except ValueError as error:
            raise invalid_argument(f"input {name!r}: {error}") from error
    if request.model_spec.signature_name not in ("", *model.signatures):
        # The one place where TensorFlow Serving has another code for it.
        raise StatusError("FAILED_PRECONDITION", f"serving signature key {request.model_spec.signature_name!r} "
                          "not found")
    return model.run(model.signature(request.model_spec.signature_name), inputs, request.output_filter)


def classify(model: CheckedModel, request: ClassificationRequest) -> ClassificationResponse:
    """Examples -> (label, score) of every class."""
    signature = model.signature(request.model_spec.signature_name, method="classify")
    examples = serialized_examples(request.input)
    found = model.run_examples(signature, examples)
    response = ClassificationResponse()
    for row in range(len(examples)):
        classes = response.result.classifications.add()
        for label, score in _classes(found, row):
            classes.classes.add(label=label, score=score)
    return response


def regress(model: CheckedModel, request: RegressionRequest) -> RegressionResponse:
    """Examples -> one number each."""
    signature = model.signature(request.model_spec.signature_name, method="regress")
    examples = serialized_examples(request.input)
    values = model.run_examples(signature, examples)["outputs"].reshape(len(examples))
    response = RegressionResponse()
    for value in values.tolist():
        response.result.regressions.add(value=value)
    return response


def multi_inference(model: CheckedModel, request: MultiInferenceRequest) -> MultiInferenceResponse:
    """The same examples classified and regressed by several signatures, a result for each, in order."""
    name, asked = request.tasks[0].model_spec.name, set[str]()
    response = MultiInferenceResponse()
    for task in request.tasks:
        if task.model_spec.name != name:
            raise invalid_argument("all ModelSpecs in a MultiInferenceRequest must access the same model name")
        if task.method_name not in METHODS.values():
            raise StatusError("UNIMPLEMENTED", f"unsupported signature method_name: {task.method_name}")
        if (signature := task.model_spec.signature_name or SERVING_DEFAULT) in asked:
            raise invalid_argument(f"duplicate evaluation of signature: {signature}")
        asked.add(signature)
        given, result = {"model_spec": task.model_spec, "input": request.input}, response.results.add()
        if task.method_name == METHODS["classify"]:
            result.classification_result.CopyFrom(classify(model, ClassificationRequest(**given)).result)
        else:
            result.regression_result.CopyFrom(regress(model, RegressionRequest(**given)).result)
    return response


def serialized_examples(given: Input) -> list[bytes]:
    """The examples of a request, each with the features that the request gives for all of them.

    Raises:
      Refused: there are none.
    """
    kind = given.WhichOneof("kind")
    several = getattr(given, kind) if kind else None
    if not several or not several.examples:
        raise invalid_argument("input is empty: expected at least one example")
    context = several.context.SerializeToString() if kind == "example_list_with_context" else b""
    # A message that follows another replaces the features that both have: the example's own value stands.
    return [context + example.SerializeToString() for example in several.examples]


def replay(model: CheckedModel, log: PredictionLog) -> None:
    """Asks a recorded request, as a warm-up."""
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


def _classes(found: dict[str, np.ndarray], row: int) -> list[tuple[str, float]]:
    scores = found["scores"][row].tolist() if "scores" in found else []
    labels = [label.decode(errors="replace") for label in found["classes"][row]] if "classes" in found else []
    return list(zip(labels or [""] * len(scores), scores or [0.0] * len(labels), strict=True))

