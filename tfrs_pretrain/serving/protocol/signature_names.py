"""Names of the signatures of an exported ranker, and the TensorFlow Serving method of each."""

from __future__ import annotations

SERVING_DEFAULT = "serving_default"  # the signature that TensorFlow Serving uses when a request names none
RANK = "rank"
PREDICT_EXAMPLES = "predict_examples"
CLASSIFY = "classify"
REGRESS = "regress"

# Of models with live updates
APPLY_DELTA, DELTA_VERSION = "apply_delta", "delta_version"

SERIALIZED_EXAMPLES = "inputs"  # the input name that TensorFlow Serving requires for Classify and Regress

# TensorFlow Serving checks the method name of Classify and Regress only; every other signature is served by Predict.
PREDICT_METHOD = "tensorflow/serving/predict"
METHODS = {CLASSIFY: "tensorflow/serving/classify", REGRESS: "tensorflow/serving/regress"}
