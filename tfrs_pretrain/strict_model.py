"""Base classes of everything that is declared in YAML: models that refuse unknown keys, and kinds to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.fields import FieldInfo


class StrictModel(BaseModel):
    """A model that refuses unknown keys and whose values cannot change after construction."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KindModel(StrictModel):
    """One member of a discriminated union, chosen by its key ``kind``."""

    @model_serializer(mode="wrap")
    def _keep_the_kind(self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        if not info.exclude_defaults:
            return content
        # Without it, the rest could not be read back.
        return {"kind": getattr(self, "kind"), **content}  # noqa: B009 - each member declares its own


def with_default(model: type[BaseModel], name: str, default: Any) -> Any:
    """Return the field of a model's subclass that differs from the model's field in its default only."""
    return FieldInfo.merge_field_infos(model.model_fields[name], default=default)


def short_form(default: str) -> BeforeValidator:
    """Validator that accepts short forms of a union's member.

    A plain string is that kind with its defaults; a mapping without ``kind`` is of kind ``default``.
    """
    def complete(value: Any) -> Any:
        if isinstance(value, str):
            return {"kind": value}
        return {"kind": default, **value} if isinstance(value, Mapping) else value

    return BeforeValidator(complete)
