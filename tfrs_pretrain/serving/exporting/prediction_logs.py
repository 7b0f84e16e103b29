"""``PredictionLog``s: requests with their answers, in TensorFlow Serving's format for logs and warm-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.classification_pb2 import Class, ClassificationRequest, ClassificationResponse
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_log_pb2 import ClassifyLog, PredictionLog, PredictLog, RegressLog
from tensorflow_serving.apis.regression_pb2 import Regression, RegressionRequest, RegressionResponse

from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.serving.protocol.signature_names import CLASSIFY, REGRESS, SERIALIZED_EXAMPLES

Arrays = Mapping[str, np.ndarray]


def prediction_log(model: str, signature: str, inputs: Arrays, outputs: Arrays | None = None) -> PredictionLog:
    """Creates the log of a request; Classify and Regress for the signatures of these methods, else Predict.

    Args:
      model: name under which the server serves the model.
      signature: name of the signature.
      inputs: input name -> values.
      outputs: output name -> values; None: no response is logged.
    """
    spec = ModelSpec(name=model, signature_name=signature)
    if signature == CLASSIFY:
        classification = ClassificationRequest(model_spec=spec, input=_example_list(inputs))
        return PredictionLog(classify_log=ClassifyLog(
            request=classification, response=outputs and _classification_response(spec, outputs)))
    if signature == REGRESS:
        regression = RegressionRequest(model_spec=spec, input=_example_list(inputs))
        return PredictionLog(regress_log=RegressLog(
            request=regression, response=outputs and _regression_response(spec, outputs)))
    return PredictionLog(predict_log=PredictLog(
        request=PredictRequest(model_spec=spec, inputs=_tensor_protos(inputs)),
        response=outputs and PredictResponse(model_spec=spec, outputs=_tensor_protos(outputs))))


def write_prediction_logs(path: Path, logs: Iterable[PredictionLog]) -> None:
    """Writes a TFRecord file, the format of warm-up files."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString(deterministic=True))


def serialize_examples(raw: Arrays, inputs: Mapping[str, RawInput]) -> np.ndarray:
    """Serializes raw inputs as tf.Examples; missing values are left out.

    Args:
      raw: input name -> raw values [n], or lists [n, length].
      inputs: inputs of the model.

    Returns:
      object [n], bytes.
    """
    num_examples = len(next(iter(raw.values())))
    examples = [_example({name: raw[name][position:position + 1] for name in inputs}, inputs)
                for position in range(num_examples)]
    return np.array(examples, object)


def _example(values: Arrays, inputs: Mapping[str, RawInput]) -> bytes:
    example = tf.train.Example()
    for name, spec in inputs.items():
        present = values[name].ravel().tolist()
        if not spec.required:
            present = [value for value in present if not spec.is_missing(value)]
        if not present:
            continue
        feature = example.features.feature[name]
        if spec.dtype == "int64":
            feature.int64_list.value.extend(present)
        elif spec.dtype == "float32":
            feature.float_list.value.extend(present)
        else:
            feature.bytes_list.value.extend(value.encode() for value in present)
    return bytes(example.SerializeToString(deterministic=True))


def _tensor_protos(arrays: Arrays) -> dict[str, Any]:
    return {name: tf.make_tensor_proto(values, tf.string if values.dtype == object else tf.as_dtype(values.dtype))
            for name, values in arrays.items()}


def _example_list(inputs: Arrays) -> Input:
    message = Input()
    message.example_list.examples.extend(map(tf.train.Example.FromString, inputs[SERIALIZED_EXAMPLES]))
    return message


def _classification_response(spec: ModelSpec, outputs: Arrays) -> ClassificationResponse:
    response = ClassificationResponse(model_spec=spec)
    for labels, scores in zip(outputs["classes"].tolist(), outputs["scores"].tolist(), strict=True):
        response.result.classifications.add(classes=[
            Class(label=label, score=score) for label, score in zip(labels, scores, strict=True)])
    return response


def _regression_response(spec: ModelSpec, outputs: Arrays) -> RegressionResponse:
    response = RegressionResponse(model_spec=spec)
    response.result.regressions.extend(Regression(value=value) for value in outputs["outputs"].tolist())
    return response
