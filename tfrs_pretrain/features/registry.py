"""Feature kinds by name.

The built-in kinds are listed here. A kind of another package is found through its entry point, in every process,
workers of Beam included::

    [project.entry-points."tfrs_pretrain.features"]
    hour_of_day = "my_package.hour_of_day:HourOfDay"

A notebook or a test calls ``register`` instead, before it reads a configuration that names the kind.
"""

from __future__ import annotations

import inspect
import typing
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.features.categorical import CategoricalFeature
from tfrs_pretrain.features.multi_valued import MultiValuedFeature
from tfrs_pretrain.features.numeric import NumericFeature
from tfrs_pretrain.own_code import FEATURES, PlugIn, entry_point_names, plug_in

# Version 0.1 stored these keys with features of every kind, also of those that ignore them.
_STORED_DEFAULTS = [("min_count", 1), ("oov_rows", 1), ("max_values", None), ("separator", None), ("log1p", False)]
_kinds: dict[str, type[Feature]] = {}


def register(kind: type[Feature]) -> type[Feature]:
    """Makes a kind known under the literal of its field ``kind``. Usable as a class decorator.

    Raises:
      TypeError: a method of the interface is missing, ``kind`` is no literal, or another class has its name.
    """
    if inspect.isabstract(kind):
        raise TypeError(f"feature kind {kind.__name__} lacks {', '.join(sorted(kind.__abstractmethods__))}")
    names = typing.get_args(kind.model_fields["kind"].annotation)
    if len(names) != 1:
        raise TypeError(f"feature kind {kind.__name__} must declare its name: kind: Literal[\"...\"]")
    if _kinds.get(names[0], kind) is not kind:
        raise TypeError(f"feature kind {names[0]!r} is already {_kinds[names[0]].__name__}")
    _kinds[names[0]] = kind
    return kind


def registered_kinds() -> dict[str, type[Feature]]:
    """Name -> class of the kinds known so far."""
    return dict(_kinds)


def unregister(name: str) -> None:
    """Forgets a registered kind."""
    del _kinds[name]


def kind_named(name: str) -> type[Feature]:
    """The class of a kind: registered, or found through an entry point.

    Raises:
      KeyError: there is no such kind.
      UserError: the entry point cannot be imported, or is no feature kind of that name.
    """
    if name not in _kinds and name in entry_point_names(FEATURES):
        _register_plug_in(plug_in(FEATURES, name))
    return _kinds[name]


def _register_plug_in(found: PlugIn) -> None:
    kind = found.load()
    if not (isinstance(kind, type) and issubclass(kind, Feature)):
        raise UserError(f"{found.title}: expected a class derived from tfrs_pretrain.features.base.Feature, received "
                        f"{kind!r:.100}")
    try:
        register(kind)
    except TypeError as error:
        raise UserError(f"{found.title}: {error}") from error
    if found.name not in _kinds:
        raise UserError(f"{found.title}: declares the kind {kind.model_fields['kind'].annotation}, expected "
                        f"Literal[{found.name!r}]: give both one name")


def parse_feature(declared: Any) -> Feature:
    """The feature that a mapping with the key ``kind`` declares; a feature is returned unchanged.

    Raises:
      ValidationError: a key is unknown to the kind, or a value is out of its range.
      PydanticCustomError: there is no such kind.
    """
    if isinstance(declared, Feature):
        return declared
    name = declared.get("kind") if isinstance(declared, dict) else None
    try:
        kind = kind_named(str(name))
    except KeyError:
        raise PydanticCustomError("feature_kind", "expected a mapping with a known kind ({known})",
                                  {"known": ", ".join(_kinds)}) from None
    return kind.model_validate({key: value for key, value in declared.items() if key in kind.model_fields
                                or (key, value) not in _STORED_DEFAULTS})


class _ByKind:
    """Pydantic's view of a feature: a union of the registered kinds, discriminated by ``kind``."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse_feature, serialization=core_schema.plain_serializer_function_ser_schema(_dump, info_arg=True))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
                                     ) -> JsonSchemaValue:
        return handler(core_schema.tagged_union_schema(
            {name: kind.__pydantic_core_schema__ for name, kind in _kinds.items()}, discriminator="kind"))


def _dump(feature: Feature, info: SerializationInfo) -> dict[str, Any]:
    return feature.model_dump(mode=info.mode, by_alias=bool(info.by_alias), exclude_defaults=info.exclude_defaults)


AnyFeature = Annotated[Feature, _ByKind]
"""A feature of any registered kind, as the field of a pydantic model."""

for _kind in (CategoricalFeature, NumericFeature, MultiValuedFeature):
    register(_kind)
BUILT_IN_KINDS = tuple(_kinds)
