"""Backbone inputs split into a user side of one row and a candidate side of many rows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class InputSide:
    """Some of the columns of the joined inputs.

    Attributes:
      values: [1 or batch, width].
      columns: int [width], index of each column among the joined inputs.
    """

    values: Any
    columns: np.ndarray


def project_sides(sides: Sequence[InputSide], kernel: Any, bias: Any) -> Any:
    """Apply a dense layer to the joined inputs, with one product for each side in its own number of rows.

    The sum starts at the bias [units], so sides of one row are added up before those of many rows.

    Args:
      sides: their columns together are all columns of the joined inputs.
      kernel: [joined width, units].
      bias: [units].

    Returns:
      [batch, units].
    """
    return functools.reduce(lambda total, side: total + keras.ops.matmul(
        side.values, keras.ops.take(kernel, side.columns, axis=0)), sides, bias)


def join_sides(sides: Sequence[InputSide]) -> Any:
    """Concatenate the sides to [batch, joined width]; the last side has the batch's rows, the others are repeated."""
    batch = keras.ops.shape(sides[-1].values)[0]
    repeated = [keras.ops.broadcast_to(side.values, (batch, len(side.columns))) for side in sides]
    columns = np.concatenate([side.columns for side in sides])
    return keras.ops.take(keras.ops.concatenate(repeated, axis=-1), np.argsort(columns), axis=-1)
