"""What a server says about its models."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfrs_pretrain.serving.protocol.tensor_protos import dtype_name

AVAILABLE = "AVAILABLE"


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """One version that the server knows.

    Attributes:
      version: its number.
      state: START, LOADING, AVAILABLE, UNLOADING or END.
      error: why it could not be loaded, else empty.
    """

    version: int
    state: str
    error: str = ""


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """dtype, and shape with None where any size fits."""

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclasses.dataclass(frozen=True)
class Signature:
    """Inputs and outputs by name, and the method that it is for."""

    method: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    @classmethod
    def of(cls, message: Any) -> Signature:
        """Reads a ``SignatureDef``."""
        return cls(message.method_name, *({name: _spec(tensor) for name, tensor in tensors.items()}
                                          for tensors in (message.inputs, message.outputs)))


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Which version answered, and its signatures by name."""

    version: int
    signatures: dict[str, Signature]


def _spec(tensor: Any) -> TensorSpec:
    return TensorSpec(dtype_name(tensor.dtype), tuple(
        None if dim.size < 0 else int(dim.size) for dim in tensor.tensor_shape.dim))
