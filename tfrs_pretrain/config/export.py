"""Configuration of the served model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrs_pretrain.strict_model import StrictModel


class ExportConfig(StrictModel):
    """The served model and its tolerances."""

    arm: str = Field(description="arm of ranking.arms whose model is exported")
    tolerance: float = Field(1e-5, gt=0, description="maximum difference between served scores and those of the "
                                                     "trained model with the same rows")
    table_dtype: Literal["float32", "float16", "int8"] = Field(
        "float32", description="type of the served tables; each int8 row has a scale")
    table_tolerance: float = Field(0.05, gt=0, description="maximum difference between validation scores with rows of "
                                                           "table_dtype and with the trained rows")
    memory_budget_bytes: int | None = Field(
        None, ge=1, description="memory of the server for this model; two versions must fit, as a hot reload keeps "
                                "both (null: no limit)")
