"""Inputs of a backbone that differ in rows: those of the user have one where those of the candidates have many."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Side:
    """Some columns of the joined inputs.

    Attributes:
      columns: [1 or batch, width].
      places: int [width], where each stands among the joined inputs.
    """

    columns: Any
    places: np.ndarray


def project(sides: Sequence[Side], kernel: Any, bias: Any) -> Any:
    """[batch, units]: a dense layer of the joined inputs, each side in its own number of rows.

    From the bias [units] on, sides of one row are added before those of many are touched.
    """
    return functools.reduce(lambda total, side: total + keras.ops.matmul(
        side.columns, keras.ops.take(kernel, side.places, axis=0)), sides, bias)


def join(sides: Sequence[Side]) -> Any:
    """[batch, joined width]: every side repeated to the rows of the last, which are the batch's."""
    batch = keras.ops.shape(sides[-1].columns)[0]
    columns = [keras.ops.broadcast_to(side.columns, (batch, len(side.places))) for side in sides]
    places = np.concatenate([side.places for side in sides])
    return keras.ops.take(keras.ops.concatenate(columns, axis=-1), np.argsort(places), axis=-1)
