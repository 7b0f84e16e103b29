"""Backbones of the ranking network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tfrs_pretrain.strict_model import KindModel, short_form


class MlpBackbone(KindModel):
    """A multilayer perceptron of ``hidden`` layers."""

    kind: Literal["mlp"] = Field("mlp", description="which backbone")


class DcnV2Backbone(KindModel):
    """Deep & Cross Network V2 (arXiv 2008.13535): cross layers and an MLP of ``hidden`` layers."""

    kind: Literal["dcn_v2"] = Field("dcn_v2", description="which backbone")
    cross_layers: int = Field(2, ge=1, description="number of cross layers")
    rank: int | None = Field(None, ge=1, description="rank of each cross layer's matrix (null: full)")
    structure: Literal["parallel", "stacked"] = Field("parallel", description="MLP beside or on the cross layers")


Backbone = Annotated[MlpBackbone | DcnV2Backbone, Field(discriminator="kind"), short_form("mlp")]
