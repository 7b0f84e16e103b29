"""Reads exported models with TensorFlow alone: their variables, and their answers to given requests.

    python -P answers.py JOBS.json

Each job in JOBS.json names a ``model`` folder and two files of PredictionLogs: the model's ``own`` ones, whose requests
and recorded answers are copied, and those that are ``sent`` to the model. Everything goes to ``output`` (.npz). Two
models that receive the same requests can be compared answer by answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

Arrays = dict[str, Any]
REFUSALS = (KeyError, TypeError, ValueError, tf.errors.OpError)  # of a request that does not fit the signature


def main(jobs: list[dict[str, str]]) -> None:
    for job in jobs:
        found = variables(job["model"]) | recorded(job["own"]) | answers(job["model"], job["sent"])
        np.savez(job["output"], **{name: _plain(np.asarray(values)) for name, values in found.items()})


def variables(model: str) -> Arrays:
    """Returns the arrays of a SavedModel by name."""
    reader = tf.train.load_checkpoint(f"{model}/variables/variables")
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return {f"variables/{name}": reader.get_tensor(name) for name in names}


def recorded(requests: str) -> Arrays:
    """Returns the inputs and the recorded outputs of requests."""
    return {f"recorded/{place}/{key}": values for place, inputs, outputs in _requests(requests)
            for key, values in (inputs | outputs).items()}


def answers(model: str, requests: str) -> Arrays:
    """Returns what a model answers to requests."""
    signatures = tf.saved_model.load(model).signatures
    found = {}
    for place, inputs, _ in _requests(requests):
        try:
            outputs = signatures[place.partition("/")[0]](**{key: tf.constant(value) for key, value in inputs.items()})
        except REFUSALS as error:
            outputs = {"refusal": tf.constant(str(error))}
        found |= {f"answers/{place}/{key}": value.numpy() for key, value in outputs.items()}
    return found


def _requests(path: str) -> Iterator[tuple[str, Arrays, Arrays]]:
    """Yields ``signature/number``, the inputs and the recorded outputs; no outputs for Classify and Regress."""
    for number, record in enumerate(tf.data.TFRecordDataset(path).as_numpy_iterator()):
        log = PredictionLog.FromString(record)
        if log.HasField("predict_log"):
            sent, inputs = log.predict_log.request, _arrays(log.predict_log.request.inputs)
            outputs = _arrays(log.predict_log.response.outputs)
        else:
            sent = (log.classify_log if log.HasField("classify_log") else log.regress_log).request
            examples = [one.SerializeToString(deterministic=True) for one in sent.input.example_list.examples]
            inputs, outputs = {"inputs": np.array(examples, object)}, {}
        yield f"{sent.model_spec.signature_name}/{number}", inputs, outputs


def _arrays(tensors: Any) -> Arrays:
    return {key: tf.make_ndarray(tensor) for key, tensor in tensors.items()}


def _plain(values: np.ndarray) -> np.ndarray:
    """Returns strings as hexadecimal text, which needs no pickle and keeps zero bytes."""
    if values.dtype != object:
        return values
    return np.array([value.hex() for value in values.ravel()], np.str_).reshape(values.shape)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
