"""Conversion of raw feature values to ``tf.train.Example``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.messages import Example

Features = Mapping[str, Any]


def to_example(features: Features) -> Any:
    """Converts raw values by feature name to a ``tf.train.Example``.

    Args:
      features: name -> an integer, a float, a string (or bytes), or a sequence of values of one of these types. None
        and empty sequences are missing values and are left out.

    Raises:
      UserError: a value has another type, or a sequence mixes types.
    """
    message = Example()
    for name, value in features.items():
        values = _as_list(value)
        if not values:
            continue
        feature = message.features.feature[name]
        if all(isinstance(item, str | bytes) for item in values):
            feature.bytes_list.value.extend(item.encode() if isinstance(item, str) else item for item in values)
        elif all(isinstance(item, Integral) and not isinstance(item, bool) for item in values):
            feature.int64_list.value.extend(int(item) for item in values)
        elif all(isinstance(item, Real) and not isinstance(item, Integral) for item in values):
            feature.float_list.value.extend(float(item) for item in values)
        else:
            raise UserError(f"feature {name!r} is {value!r}: expected an integer, a float, a string, or a list of "
                            "values of one of these types")
    return message


def _as_list(value: Any) -> Sequence[Any]:
    if value is None:
        return []
    if isinstance(value, np.ndarray):
        return list(value.ravel())
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
