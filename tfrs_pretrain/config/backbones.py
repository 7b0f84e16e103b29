"""Networks of the ranker: built-in backbones, those of installed packages, and networks of the user's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, GetJsonSchemaHandler, Tag, field_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tfrs_pretrain.own_code import BACKBONES, entry_point_names, entry_point_path
from tfrs_pretrain.strict_model import KindModel, short_form


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        is_plain = json.loads(json.dumps(settings, allow_nan=False)) == settings
    except (TypeError, ValueError):
        is_plain = False
    if not is_plain:
        raise ValueError("expected texts, numbers, true, false, null, lists and mappings of them")
    return settings


Settings = Annotated[dict[str, Any], AfterValidator(_plain)]


class BuiltInBackbone(KindModel):
    """A backbone of this package. Its keys are arguments of the function at ``path``."""

    path: ClassVar[str]

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of the function at ``path``."""
        return self.model_dump(exclude={"kind"})


class MlpBackbone(BuiltInBackbone):
    """A multilayer perceptron of ``hidden`` layers."""

    path: ClassVar[str] = "tfrs_pretrain.ranking.model.backbones.mlp:mlp_network"

    kind: Literal["mlp"] = Field("mlp", description="which backbone")


class DcnV2Backbone(BuiltInBackbone):
    """Deep & Cross Network V2 (arXiv 2008.13535): cross layers and an MLP of ``hidden`` layers."""

    path: ClassVar[str] = "tfrs_pretrain.ranking.model.backbones.dcn_v2:dcn_v2_network"

    kind: Literal["dcn_v2"] = Field("dcn_v2", description="which backbone")
    cross_layers: int = Field(2, ge=1, description="number of cross layers")
    rank: int | None = Field(None, ge=1, description="rank of each cross layer's matrix (null: full)")
    structure: Literal["parallel", "stacked"] = Field("parallel", description="MLP beside or on the cross layers")


BUILT_IN = (MlpBackbone, DcnV2Backbone)
_BUILT_IN_KINDS = tuple(str(backbone.model_fields["kind"].default) for backbone in BUILT_IN)
_PACKAGED = "entry point"  # tag


class PackagedBackbone(KindModel):
    """A network of an installed package: the entry point of that name in group ``tfrs_pretrain.backbones``."""

    kind: str = Field(description="name of the entry point")
    settings: Settings = Field({}, description="arguments of its class or function")

    @field_validator("kind")
    @classmethod
    def _is_installed(cls, kind: str) -> str:
        if kind not in (names := entry_point_names(BACKBONES)):
            raise ValueError(f"unknown kind {kind!r}: expected {', '.join(map(repr, _BUILT_IN_KINDS))} or an entry "
                             f"point of {BACKBONES} (installed: {names})")
        return kind

    @property
    def path(self) -> str:
        """Module and name of the class or function."""
        return entry_point_path(BACKBONES, self.kind)


def _tag(backbone: Any) -> str:
    kind = backbone.get("kind") if isinstance(backbone, Mapping) else getattr(backbone, "kind", None)
    return kind if kind in _BUILT_IN_KINDS else _PACKAGED


class _NamesItsKinds:
    """Names the kinds in the JSON Schema, as pydantic does for a union that is discriminated by a field."""

    @staticmethod
    def __get_pydantic_json_schema__(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        tags = (*_BUILT_IN_KINDS, _PACKAGED)
        mapping = {tag: option["$ref"] for tag, option in zip(tags, described["oneOf"], strict=True)}
        return {**described, "discriminator": {"propertyName": "kind", "mapping": mapping}}


Backbone = Annotated[
    Annotated[MlpBackbone, Tag("mlp")] | Annotated[DcnV2Backbone, Tag("dcn_v2")]
    | Annotated[PackagedBackbone, Tag(_PACKAGED)], Discriminator(_tag), _NamesItsKinds, short_form("mlp")]


class PathNetwork(KindModel):
    """A class of your own, or a function that returns a Keras model or layer."""

    kind: Literal["path"] = Field("path", description="which network")
    path: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module and name: my_package.my_module:MyModel")
    settings: Settings = Field({}, description="arguments of the class or function")


class SerializedNetwork(KindModel):
    """A Keras model as Keras serializes it; ``train_ranker(network=...)`` writes it here."""

    kind: Literal["serialized"] = Field("serialized", description="which network")
    content: Settings = Field(description="of keras.saving.serialize_keras_object")


def _path_form(value: Any) -> Any:
    return {"kind": "path", "path": value} if isinstance(value, str) else (
        {"kind": "path", **value} if isinstance(value, Mapping) else value)


Network = Annotated[PathNetwork | SerializedNetwork, Field(discriminator="kind"), BeforeValidator(_path_form)]
