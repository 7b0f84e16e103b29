"""Signatures of a served model, and saving of the model with them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrs_pretrain.features.raw_input import USER, RawInput
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, USER_ID, USER_ROW
from tfrs_pretrain.serving.graph.served_ranker import ServedRanker
from tfrs_pretrain.serving.protocol.signature_names import (
    CLASSIFY,
    METHODS,
    PREDICT_EXAMPLES,
    PREDICT_METHOD,
    RANK,
    REGRESS,
    SERIALIZED_EXAMPLES,
    SERVING_DEFAULT,
)

EMBEDDINGS = {"user_embedding": (USER_ROW, USER_ID), "item_embedding": (ITEM_ROW, ITEM_ID)}


def concrete_functions(model: ServedRanker) -> dict[str, Any]:
    """Traces the functions of a model; returns signature -> concrete function."""
    features = {name: spec.spec(name) for name, spec in model.inputs.items()}
    candidates = {name: spec.spec(name, 1 if spec.side == USER else None) for name, spec in model.inputs.items()}
    serialized = {SERIALIZED_EXAMPLES: tf.TensorSpec([None], tf.string, SERIALIZED_EXAMPLES)}
    functions: dict[str, tuple[Any, dict[str, tf.TensorSpec]]] = {
        SERVING_DEFAULT: (model.score, features), RANK: (model.rank, candidates),
        PREDICT_EXAMPLES: (model.score_examples, serialized), CLASSIFY: (model.classify, serialized),
        REGRESS: (model.regress, serialized)}
    for name, (space, column) in EMBEDDINGS.items():
        functions[name] = (functools.partial(_embedding, model, space), {column: features[column]})
    return {name: tf.function(function, autograph=False).get_concrete_function(**specs)
            for name, (function, specs) in functions.items()}


@dataclasses.dataclass(frozen=True)
class SavedModelContents:
    """Metadata describing a SavedModel's contents.

    Attributes:
      inputs: raw inputs by name.
      outputs: output of ``serving_default`` -> label whose probability it is.
      classes: names of the labels that ``classify`` returns.
      signatures: name -> method, and dtype and shape of inputs and outputs (None: any size).
      tables: name -> rows, dim, dtype, bytes, and the vocabulary of its rows.
    """

    inputs: dict[str, RawInput]
    outputs: dict[str, str]
    classes: tuple[str, ...]
    signatures: dict[str, dict[str, Any]]
    tables: dict[str, dict[str, Any]]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SavedModelContents:
        """Reads what ``to_json`` returned."""
        inputs = {name: RawInput(**spec) for name, spec in content["inputs"].items()}
        return cls(inputs, content["outputs"], tuple(content["classes"]), content["signatures"], content["tables"])

    def to_json(self) -> dict[str, Any]:
        """Returns JSON."""
        inputs = {name: {"dtype": spec.dtype, "length": spec.length, "side": spec.side}
                  for name, spec in self.inputs.items()}
        return {"inputs": inputs, "outputs": self.outputs, "classes": list(self.classes),
                "signatures": self.signatures, "tables": self.tables}


def save(model: ServedRanker, folder: Path) -> SavedModelContents:
    """Saves a model with all signatures.

    Args:
      model: the model.
      folder: folder for the SavedModel.
    """
    functions = concrete_functions(model)
    tf.saved_model.save(model, str(folder), signatures=functions)
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    for name, method in METHODS.items():
        updater.replace_method_name(signature_key=name, method_name=method)
    updater.save()
    signatures = {name: {"method": METHODS.get(name, PREDICT_METHOD),
                         "inputs": _specs_as_json(function.structured_input_signature[1]),
                         "outputs": _specs_as_json(function.structured_outputs)}
                  for name, function in functions.items()}
    # Copies, because TensorFlow wraps the containers of a module.
    return SavedModelContents(dict(model.inputs), dict(model.outputs), tuple(model.classes), signatures,
                              {name: dict(table) for name, table in model.tables.items()})


def _specs_as_json(specs: Mapping[str, tf.TensorSpec]) -> dict[str, dict[str, Any]]:
    return {name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for name, spec in specs.items()}


def _embedding(model: ServedRanker, space: str, **ids: tf.Tensor) -> dict[str, tf.Tensor]:
    [values] = ids.values()
    return model.embedding(space, values)
