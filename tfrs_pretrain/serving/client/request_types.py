"""Typed requests: raw values by feature name, one type for each kind of signature of an exported ranker."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.tf_examples import Features
from tfrs_pretrain.serving.protocol import signature_names

Columns = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Model:
    """The model to call: its newest version, or one by number or by label.

    Raises:
      UserError: both a version and a label are given.
    """

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise UserError(f"model {self.name!r} is requested by version {self.version} and by label {self.label!r}: "
                            "give only one of them")


@dataclasses.dataclass(frozen=True)
class Predict:
    """Feature tensors for any signature.

    Attributes:
      inputs: input name -> values [batch] or [batch, length]; integers are sent as int64, floats as float32.
      signature: name of the signature.
    """

    inputs: Columns
    signature: str = signature_names.SERVING_DEFAULT

    def tensors(self) -> dict[str, np.ndarray]:
        """Returns the arrays to send; see ``as_tensor``."""
        return {name: as_tensor(name, values) for name, values in self.inputs.items()}


@dataclasses.dataclass(frozen=True)
class Rank:
    """One user and context, and N candidates; the server computes the user's part only once.

    Attributes:
      user: feature name -> one value (a sequence for a multi-valued feature).
      candidates: feature name -> N values.
      context: feature name -> one value for all candidates, or N values (for multi-valued features a list of lists).
    """

    user: Columns
    candidates: Columns
    context: Columns = dataclasses.field(default_factory=dict)
    signature: ClassVar[str] = signature_names.RANK

    def predict(self) -> Predict:
        """Returns the request as tensors; values shared by all candidates have batch size 1."""
        user = {name: as_tensor(name, [value]) for name, value in self.user.items()}
        context = {name: as_tensor(name, values if np.ndim(values) else [values])
                   for name, values in self.context.items()}
        return Predict({**user, **self.candidates, **context}, self.signature)


@dataclasses.dataclass(frozen=True)
class PredictExamples:
    """Impressions as ``tf.Example``s: one mapping of raw values for each; missing features may be left out."""

    examples: Sequence[Features]
    signature: str = signature_names.PREDICT_EXAMPLES


@dataclasses.dataclass(frozen=True)
class Classify:
    """Impressions as in ``PredictExamples``, for TensorFlow Serving's Classify."""

    examples: Sequence[Features]
    signature: str = signature_names.CLASSIFY


@dataclasses.dataclass(frozen=True)
class Regress:
    """Impressions as in ``PredictExamples``, for TensorFlow Serving's Regress."""

    examples: Sequence[Features]
    signature: str = signature_names.REGRESS


@dataclasses.dataclass(frozen=True)
class Embed:
    """Raw ids of users or items, whose embeddings are requested."""

    side: Literal["user", "item"]
    ids: Any

    def predict(self) -> Predict:
        """Returns the request as a tensor of ids."""
        return Predict({f"{self.side}_id": self.ids}, f"{self.side}_embedding")


def as_tensor(name: str, values: Any) -> np.ndarray:
    """Converts the values of an input to int64, float32 or strings.

    Args:
      name: name of the input, for messages.
      values: array or nested sequences.

    Raises:
      UserError: the values are ragged, of mixed types, or of a dtype that no signature accepts.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"input {name!r} contains lists of different lengths: pad them with the missing value"
                        ) from error
    if not array.size and not isinstance(values, np.ndarray):
        raise UserError(f"input {name!r} is empty and has no dtype: pass a numpy array of int64, float32 or object")
    if array.dtype.kind in "US" or (array.dtype == object and all(isinstance(x, str | bytes) for x in array.flat)):
        return array.astype(object)
    if array.dtype.kind in "iu" and array.dtype != np.uint64:
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    raise UserError(f"input {name!r} has values of dtype {array.dtype}: expected integers, floats or strings")
