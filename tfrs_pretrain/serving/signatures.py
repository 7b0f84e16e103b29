"""The signatures under which a served model answers, and how they are saved."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, USER_ID, USER_ROW
from tfrs_pretrain.serving.inputs import USER
from tfrs_pretrain.serving.model import ServedRanker

SIGNATURE = "serving_default"
RANK, EXAMPLES, CLASSIFY, REGRESS = "rank", "predict_examples", "classify", "regress"
EMBEDDINGS = {"user_embedding": (USER_ROW, USER_ID), "item_embedding": (ITEM_ROW, ITEM_ID)}
SIGNATURES = (SIGNATURE, RANK, EXAMPLES, CLASSIFY, REGRESS, *EMBEDDINGS)
# TF Serving's Classify and Regress look at the method; to all other signatures it is Predict.
METHODS = {CLASSIFY: "tensorflow/serving/classify", REGRESS: "tensorflow/serving/regress"}
SERIALIZED = "inputs"  # the name that TF Serving demands of Classify and Regress


def concrete_functions(model: ServedRanker) -> dict[str, Any]:
    """Signature -> its graph."""
    features = {name: of.spec(name) for name, of in model.inputs.items()}
    candidates = {name: of.spec(name, 1 if of.side == USER else None) for name, of in model.inputs.items()}
    serialized = {SERIALIZED: tf.TensorSpec([None], tf.string, SERIALIZED)}
    functions: dict[str, tuple[Any, dict[str, tf.TensorSpec]]] = {
        SIGNATURE: (model.score, features), RANK: (model.rank, candidates),
        EXAMPLES: (model.score_examples, serialized), CLASSIFY: (model.classify, serialized),
        REGRESS: (model.regress, serialized)}
    for name, (space, column) in EMBEDDINGS.items():
        functions[name] = (functools.partial(_embedding, model, space), {column: features[column]})
    return {name: tf.function(function).get_concrete_function(**specs) for name, (function, specs) in functions.items()}


def save(model: ServedRanker, folder: Path) -> None:
    """Writes the SavedModel with all signatures, each with the method that the server expects of it."""
    tf.saved_model.save(model, str(folder), signatures=concrete_functions(model))
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    for name, method in METHODS.items():
        updater.replace_method_name(signature_key=name, method_name=method)
    updater.save()


def _embedding(model: ServedRanker, space: str, **ids: tf.Tensor) -> dict[str, tf.Tensor]:
    [values] = ids.values()
    return model.embedding(space, values)
