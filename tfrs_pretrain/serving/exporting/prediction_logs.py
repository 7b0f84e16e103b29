"""Requests and answers as TensorFlow Serving's messages, and as it logs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.classification_pb2 import Class, ClassificationRequest, ClassificationResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_log_pb2 import ClassifyLog, PredictionLog, PredictLog, RegressLog
from tensorflow_serving.apis.regression_pb2 import Regression, RegressionRequest, RegressionResponse

from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.serving.protocol.signature_names import CLASSIFY, REGRESS, SERIALIZED_EXAMPLES

Arrays = Mapping[str, np.ndarray]


def prediction_log(model: str, signature: str, inputs: Arrays, outputs: Arrays | None = None) -> PredictionLog:
    """A request to a signature, with its answer if there is one: Classify and Regress where these are its methods.

    Args:
      model: name under which the server offers it.
      signature: its name.
      inputs: input name -> values.
      outputs: output name -> values.
    """
    spec = ModelSpec(name=model, signature_name=signature)
    if signature == CLASSIFY:
        request = ClassificationRequest(model_spec=spec)
        request.input.example_list.examples.extend(map(tf.train.Example.FromString, inputs[SERIALIZED_EXAMPLES]))
        return PredictionLog(classify_log=ClassifyLog(request=request, response=outputs and _classified(spec, outputs)))
    if signature == REGRESS:
        regression = RegressionRequest(model_spec=spec)
        regression.input.example_list.examples.extend(map(tf.train.Example.FromString, inputs[SERIALIZED_EXAMPLES]))
        return PredictionLog(regress_log=RegressLog(request=regression, response=outputs and _regressed(spec, outputs)))
    sent = PredictRequest(model_spec=spec, inputs={name: tf.make_tensor_proto(*_typed(values))
                                                   for name, values in inputs.items()})
    answer = outputs and PredictResponse(model_spec=spec, outputs={
        name: tf.make_tensor_proto(*_typed(values)) for name, values in outputs.items()})
    return PredictionLog(predict_log=PredictLog(request=sent, response=answer))


def write_prediction_logs(path: Path, logs: Iterable[PredictionLog]) -> None:
    """Writes a TFRecord, the format of warm-up files."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString(deterministic=True))


def serialize_examples(raw: Arrays, inputs: Mapping[str, RawInput]) -> np.ndarray:
    """object [n]: serialized tf.Examples of raw inputs [n] and lists [n, length]; missing values are left out."""
    count = len(next(iter(raw.values())))
    examples = [_example({name: raw[name][row:row + 1] for name in inputs}, inputs) for row in range(count)]
    return np.array(examples, object)


def _example(values: Mapping[str, np.ndarray], inputs: Mapping[str, RawInput]) -> bytes:
    example = tf.train.Example()
    for name, of in inputs.items():
        present = values[name].ravel().tolist()
        if not of.required:
            present = [value for value in present if not of.is_missing(value)]
        if not present:
            continue
        feature = example.features.feature[name]
        if of.dtype == "int64":
            feature.int64_list.value.extend(present)
        elif of.dtype == "float32":
            feature.float_list.value.extend(present)
        else:
            feature.bytes_list.value.extend(value.encode() for value in present)
    return bytes(example.SerializeToString(deterministic=True))


def _typed(values: np.ndarray) -> tuple[np.ndarray, tf.DType]:
    return values, tf.as_dtype(values.dtype) if values.dtype != object else tf.string


def _classified(spec: ModelSpec, outputs: Arrays) -> ClassificationResponse:
    response = ClassificationResponse(model_spec=spec)
    for labels, scores in zip(outputs["classes"].tolist(), outputs["scores"].tolist(), strict=True):
        response.result.classifications.add(classes=[
            Class(label=label, score=score) for label, score in zip(labels, scores, strict=True)])
    return response


def _regressed(spec: ModelSpec, outputs: Arrays) -> RegressionResponse:
    response = RegressionResponse(model_spec=spec)
    response.result.regressions.extend(Regression(value=value) for value in outputs["outputs"].tolist())
    return response
