"""Typed responses: status and metadata of a served model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.serving.protocol.tensor_protos import dtype_name

AVAILABLE = "AVAILABLE"


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """Status of one version.

    Attributes:
      version: its number.
      state: START, LOADING, AVAILABLE, UNLOADING or END.
      error: why it failed to load; empty if it did not fail.
    """

    version: int
    state: str
    error: str = ""


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """dtype and shape of a tensor; None in the shape: any size."""

    dtype: str
    shape: tuple[int | None, ...]

    @classmethod
    def from_message(cls, message: Any) -> TensorSpec:
        """Converts a ``TensorInfo``."""
        sizes = (None if dim.size < 0 else int(dim.size) for dim in message.tensor_shape.dim)
        return cls(dtype_name(message.dtype), tuple(sizes))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


@dataclasses.dataclass(frozen=True)
class Signature:
    """Method of a signature, and its inputs and outputs by name."""

    method: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    @classmethod
    def from_message(cls, message: Any) -> Signature:
        """Converts a ``SignatureDef``."""
        inputs, outputs = ({name: TensorSpec.from_message(info) for name, info in infos.items()}
                           for infos in (message.inputs, message.outputs))
        return cls(message.method_name, inputs, outputs)


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Version that answered, and its signatures by name."""

    version: int
    signatures: dict[str, Signature]

    @classmethod
    def from_messages(cls, version: int, messages: Mapping[str, Any]) -> Metadata:
        """Converts ``SignatureDef``s by name."""
        return cls(version, {name: Signature.from_message(message) for name, message in messages.items()})

    @property
    def public(self) -> dict[str, Signature]:
        """Signatures that clients may call; names that begin with ``__`` belong to TensorFlow's loader."""
        return {name: signature for name, signature in sorted(self.signatures.items()) if not name.startswith("__")}
