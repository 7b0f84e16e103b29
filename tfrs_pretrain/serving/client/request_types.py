"""Typed requests: raw values by feature name, as every signature of an exported ranker takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.tf_examples import Features

Columns = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Model:
    """Which model: the newest version that is served, or one by number or by label."""

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise UserError(f"model {self.name!r} is asked for by version {self.version} and by label {self.label!r}: "
                            "name one of them")


@dataclasses.dataclass(frozen=True)
class Predict:
    """Feature tensors to any signature.

    Attributes:
      inputs: input -> values [batch] or [batch, length]; integers are sent as int64, numbers with a fraction as
        float32.
      signature: its name.
    """

    inputs: Columns
    signature: str = "serving_default"

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays that are sent."""
        return {name: as_tensor(name, values) for name, values in self.inputs.items()}


@dataclasses.dataclass(frozen=True)
class Rank:
    """One user and context, N candidates; the server does the user's part of the work once.

    Attributes:
      user: feature -> its one value (a sequence where the feature has several values).
      candidates: feature -> N values.
      context: feature of the impression -> one value for all candidates, or N (of several values: a list of lists).
    """

    user: Columns
    candidates: Columns
    context: Columns = dataclasses.field(default_factory=dict)
    signature = "rank"

    def predict(self) -> Predict:
        """The request as tensors; values that stand for all candidates have the batch size 1."""
        one = {name: as_tensor(name, [values]) for name, values in self.user.items()}
        context = {name: as_tensor(name, values if np.ndim(values) else [values])
                   for name, values in self.context.items()}
        return Predict({**one, **self.candidates, **context}, self.signature)


@dataclasses.dataclass(frozen=True)
class PredictExamples:
    """Impressions as raw values by name, one mapping each; missing features may be left out."""

    examples: Sequence[Features]
    signature: str = "predict_examples"


@dataclasses.dataclass(frozen=True)
class Classify:
    """The same, through TensorFlow Serving's Classify."""

    examples: Sequence[Features]
    signature: str = "classify"


@dataclasses.dataclass(frozen=True)
class Regress:
    """The same, through TensorFlow Serving's Regress."""

    examples: Sequence[Features]
    signature: str = "regress"


@dataclasses.dataclass(frozen=True)
class Embed:
    """Rows of users or items by raw id."""

    side: Literal["user", "item"]
    ids: Any

    def predict(self) -> Predict:
        """The request as a tensor of ids."""
        return Predict({f"{self.side}_id": self.ids}, f"{self.side}_embedding")


def as_tensor(name: str, values: Any) -> np.ndarray:
    """The array that is sent for an input: int64, float32 or strings.

    Raises:
      UserError: the values are ragged, mixed, or of a dtype that the signatures do not have.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"input {name!r} has rows of different lengths: pad them with the missing value") from error
    if not array.size and not isinstance(values, np.ndarray):
        raise UserError(f"input {name!r} is empty and has no dtype: give a numpy array of int64, float32 or object")
    if array.dtype.kind in "US" or (array.dtype == object and all(isinstance(x, str | bytes) for x in array.flat)):
        return array.astype(object)
    if array.dtype.kind in "iu" and array.dtype != np.uint64:
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    raise UserError(f"input {name!r} has values of dtype {array.dtype}: expected integers, numbers or strings")

