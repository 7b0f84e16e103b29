"""Networks of the ranker: built-in backbones, those of installed packages, and networks of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, Tag

from tfrs_pretrain.config.packaged import PACKAGED, NamesItsKinds, PackagedKind, Settings, by_kind, kinds_of
from tfrs_pretrain.own_code import BACKBONES
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


BUILT_IN = (MlpBackbone, DcnV2Backbone)
BACKBONE_KINDS = kinds_of(*BUILT_IN)


class PackagedBackbone(PackagedKind):
    """A network of an installed package: the entry point of that name in group ``tfrs_pretrain.backbones``."""

    group: ClassVar[str] = BACKBONES
    built_in: ClassVar[tuple[str, ...]] = BACKBONE_KINDS

    @property
    def path(self) -> str:
        """Module and name of the class or function."""
        return self.plug_in.path


Backbone = Annotated[
    Annotated[MlpBackbone, Tag("mlp")] | Annotated[DcnV2Backbone, Tag("dcn_v2")]
    | Annotated[PackagedBackbone, Tag(PACKAGED)], by_kind(BACKBONE_KINDS), NamesItsKinds(BACKBONE_KINDS),
    short_form("mlp")]


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
