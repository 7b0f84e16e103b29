"""Warm-up requests: TensorFlow Serving replays them before it calls a version available."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, PredictLog

from tfrs_pretrain.serving.signatures import SIGNATURE

# The first request of a size is slow; one item and a page of items are what a ranker is asked for.
BATCH_SIZES = (1, 8, 64)


def write_warmup(path: Path, model_name: str, inputs: Mapping[str, np.ndarray]) -> None:
    """Writes a TFRecord of ``PredictionLog``.

    Args:
      path: ``assets.extra/tf_serving_warmup_requests`` under the model.
      model_name: name under which the server offers the model.
      inputs: input of the signature -> raw values [n, ...]; repeated as often as a batch needs.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch_size in BATCH_SIZES:
            batch = {name: np.resize(values, (batch_size, *values.shape[1:])) for name, values in inputs.items()}
            log = PredictionLog(predict_log=PredictLog(request=_request(model_name, batch)))
            writer.write(log.SerializeToString(deterministic=True))


def _request(model_name: str, inputs: Mapping[str, np.ndarray]) -> PredictRequest:
    request = PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = SIGNATURE
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return request
