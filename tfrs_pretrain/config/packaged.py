"""Kinds of installed packages beside the built-in members of a discriminated union."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Discriminator, Field, GetJsonSchemaHandler, field_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.own_code import PlugIn, entry_point_names, plug_in
from tfrs_pretrain.strict_model import KindModel

PACKAGED = "entry point"  # tag
_stored: ContextVar[bool] = ContextVar("stored", default=False)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        is_plain = json.loads(json.dumps(settings, allow_nan=False)) == settings
    except (TypeError, ValueError):
        is_plain = False
    if not is_plain:
        raise ValueError("expected texts, numbers, true, false, null, lists and mappings of them")
    return settings


Settings = Annotated[dict[str, Any], AfterValidator(_plain)]


class PackagedKind(KindModel):
    """A kind of an installed package: the entry point of that name."""

    group: ClassVar[str]
    built_in: ClassVar[tuple[str, ...]]
    kind: str = Field(description="name of the entry point")
    settings: Settings = Field({}, description="arguments of its class or function")

    @field_validator("kind")
    @classmethod
    def _is_installed(cls, kind: str) -> str:
        require_installed(kind, cls.group, cls.built_in, "kind")
        return kind

    @property
    def plug_in(self) -> PlugIn:
        """The entry point.

        Raises:
          UserError: it is not installed, or several packages have it.
        """
        try:
            require_installed(self.kind, self.group, self.built_in, "kind")
        except ValueError as error:
            raise UserError(f"{error}: install its package, or correct the name") from error
        return plug_in(self.group, self.kind)


def packaged_kinds(value: Any) -> Iterator[PackagedKind]:
    """Yields the kinds of installed packages in a part of a configuration."""
    if isinstance(value, PackagedKind):
        yield value
    parts = (dict(value).values() if isinstance(value, BaseModel) else value.values() if isinstance(value, Mapping)
             else value if isinstance(value, tuple | list) else ())
    for part in parts:
        yield from packaged_kinds(part)


def own_code_records(*parts: Any) -> dict[str, Any]:
    """Returns ``{"own_code": [...]}`` for a manifest: entry points, versions and settings; {} if parts have none.

    Raises:
      UserError: a class or function cannot be imported, or refuses its settings.
    """
    found = [each.plug_in.record(each.settings) for each in packaged_kinds(parts)]
    return {"own_code": found} if found else {}


@contextlib.contextmanager
def stored_configuration() -> Iterator[None]:
    """Accepts kinds of packages that are absent: an artifact is read also where they are not used."""
    token = _stored.set(True)
    try:
        yield
    finally:
        _stored.reset(token)


def require_installed(name: str, group: str, built_in: Sequence[str], what: str) -> None:
    """Checks that an entry point is installed, unless the configuration is a stored one; does not import it.

    Raises:
      ValueError: it is not.
    """
    if not _stored.get() and name not in (names := entry_point_names(group)):
        raise ValueError(f"unknown {what} {name!r}: expected {', '.join(map(repr, built_in))} or an entry point of "
                         f"{group} (installed: {names})")


def kinds_of(*models: type[KindModel]) -> tuple[str, ...]:
    """The names of built-in kinds."""
    return tuple(str(model.model_fields["kind"].default) for model in models)


def by_kind(built_in: Sequence[str]) -> Discriminator:
    """A discriminator: the built-in member of that kind, or the one with the tag ``PACKAGED``."""
    return Discriminator(_tagger(built_in))


def _tagger(built_in: Sequence[str]) -> Callable[[Any], str]:
    def tag(value: Any) -> str:
        kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
        return str(kind) if kind in built_in else PACKAGED

    return tag


class NamesItsKinds:
    """Names the kinds in the JSON Schema, as pydantic does for a union that is discriminated by a field.

    Args:
      built_in: names of the built-in kinds, in the order of the union; the packaged one follows.
    """

    def __init__(self, built_in: Sequence[str]):
        self._tags = (*built_in, PACKAGED)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        mapping = {tag: option["$ref"] for tag, option in zip(self._tags, described["oneOf"], strict=True)}
        return {**described, "discriminator": {"propertyName": "kind", "mapping": mapping}}
