"""An input of a served model: raw values, as a client sends them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.value_types import ARROW_TYPES, missing_value

if TYPE_CHECKING:
    import tensorflow as tf

USER, CONTEXT, ITEM = "user", "context", "item"
SIDES = {"users": USER, "impressions": CONTEXT, "items": ITEM}  # by source of a feature


@dataclasses.dataclass(frozen=True)
class RawInput:
    """Raw values [batch], or lists [batch, any length] in which missing values are padding.

    Attributes:
      dtype: "int64", "string" or "float32".
      length: maximum number of values of a list that the model uses; None: one value.
      side: whose value it is when the candidates of one user are ranked: "user", "context" (the user's or each
        candidate's) or "item".
      latest: a longer list keeps its last values, not its first.
      required: a tf.Example without it is refused; otherwise it takes the missing value.
    """

    dtype: str
    length: int | None = None
    side: str = ITEM
    latest: bool = False
    required: bool = False

    def spec(self, name: str, rows: int | None = None) -> tf.TensorSpec:
        """Tensor specification for a request with this number of rows (None: any number)."""
        import tensorflow as tf  # noqa: PLC0415

        return tf.TensorSpec([rows, None] if self.length else [rows], tf.as_dtype(self.dtype), name)

    def to_arrow(self, values: np.ndarray) -> pa.Array:
        """Raw values [n] or lists [n, any length] as an Arrow array [n], missing values unchanged."""
        dtype = ARROW_TYPES[self.dtype]
        return pa.array(values.tolist(), pa.list_(dtype) if self.length else dtype)

    def missing(self) -> np.ndarray:
        """A missing value [1], or an empty list [1, 0]."""
        return self._array([[]] if self.length else [missing_value(self.dtype)])

    def is_missing(self, value: Any) -> bool:
        """Whether a value, of a list if there is one, stands for a missing one."""
        return bool(value == missing_value(self.dtype) or (self.dtype == "float32" and np.isnan(value)))

    def parse(self, text: str) -> np.ndarray:
        """The value [1] that a text stands for; a JSON array is a list [1, n].

        Raises:
          TypeError, ValueError: the text is no such value.
        """
        if self.length:
            values = json.loads(text)
            if not isinstance(values, list):
                raise TypeError("no array")
            return self._array([pa.array(values, ARROW_TYPES[self.dtype]).to_pylist()])
        return self._array([{"int64": int, "float32": float, "string": str}[self.dtype](text)])

    @property
    def words(self) -> str:
        """Description of the texts that ``parse`` accepts."""
        return f"a JSON array of {self.dtype}" if self.length else f"one value of {self.dtype}"

    def _array(self, values: list[object]) -> np.ndarray:
        return np.array(values, object if self.dtype == "string" else self.dtype)
