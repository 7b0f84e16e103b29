"""Raw values as ``tf.train.Example``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.messages import Example

Features = Mapping[str, Any]


def to_example(features: Features) -> Any:
    """The message of raw values by feature name.

    A value is an integer, a number with a fraction, a string (or bytes), or a sequence of one of them; None and empty
    sequences are missing values and are left out.

    Raises:
      UserError: a value is something else, or a sequence mixes kinds.
    """
    message = Example()
    for name, given in features.items():
        values = _several(given)
        if not values:
            continue
        feature = message.features.feature[name]
        if all(isinstance(value, str | bytes) for value in values):
            feature.bytes_list.value.extend(value.encode() if isinstance(value, str) else value for value in values)
        elif all(isinstance(value, Integral) and not isinstance(value, bool) for value in values):
            feature.int64_list.value.extend(int(value) for value in values)
        elif all(isinstance(value, Real) and not isinstance(value, Integral) for value in values):
            feature.float_list.value.extend(float(value) for value in values)
        else:
            raise UserError(f"feature {name!r} is {given!r}: expected an integer, a number with a fraction, a string, "
                            "or a list of one of these")
    return message


def _several(given: Any) -> Sequence[Any]:
    if given is None:
        return []
    if isinstance(given, np.ndarray):
        return list(given.ravel())
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str | bytes) else [given]
