"""Networks of the ranker: built-in backbones, those of installed packages, and networks of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, JsonValue, Tag, field_validator

from tfrs_pretrain.own_code import BACKBONES, entry_point_names, entry_point_path
from tfrs_pretrain.strict_model import KindModel, short_form


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


class PackagedBackbone(KindModel):
    """A network of an installed package: the entry point of that name in group ``tfrs_pretrain.backbones``."""

    kind: str = Field(description="name of the entry point")
    settings: dict[str, JsonValue] = Field({}, description="arguments of its class or function")

    @field_validator("kind")
    @classmethod
    def _is_installed(cls, kind: str) -> str:
        if kind not in (names := entry_point_names(BACKBONES)):
            raise ValueError(f"unknown kind {kind!r}: expected 'mlp', 'dcn_v2' or an entry point of {BACKBONES} "
                             f"(installed: {names})")
        return kind

    @property
    def path(self) -> str:
        """Module and name of the class or function."""
        return entry_point_path(BACKBONES, self.kind)


def _tag(backbone: Any) -> str:
    kind = backbone.get("kind") if isinstance(backbone, Mapping) else getattr(backbone, "kind", None)
    return kind if kind in ("mlp", "dcn_v2") else "entry point"


Backbone = Annotated[
    Annotated[MlpBackbone, Tag("mlp")] | Annotated[DcnV2Backbone, Tag("dcn_v2")]
    | Annotated[PackagedBackbone, Tag("entry point")], Discriminator(_tag), short_form("mlp")]


class PathNetwork(KindModel):
    """A class of your own, or a function that returns a Keras model or layer."""

    kind: Literal["path"] = Field("path", description="which network")
    path: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module and name: my_package.my_module:MyModel")
    settings: dict[str, JsonValue] = Field({}, description="arguments of the class or function")


class SerializedNetwork(KindModel):
    """A Keras model as Keras serializes it; ``train_ranker(network=...)`` writes it here."""

    kind: Literal["serialized"] = Field("serialized", description="which network")
    content: dict[str, JsonValue] = Field(description="of keras.saving.serialize_keras_object")


def _path_form(value: Any) -> Any:
    return {"kind": "path", "path": value} if isinstance(value, str) else (
        {"kind": "path", **value} if isinstance(value, Mapping) else value)


Network = Annotated[PathNetwork | SerializedNetwork, Field(discriminator="kind"), BeforeValidator(_path_form)]
