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
    live_updates: bool = Field(False, description="add signatures by which `tfrs-pretrain push` changes rows, ids and "
                                                  "weights of a running server; needs push_secret")
    live_spare: float = Field(0.05, ge=0, le=1, description="spare places for changed and new rows, as a share of the "
                                                            "rows of each table (with live_updates); `export` prints "
                                                            "the memory that they take")
    push_secret: str | None = Field(None, description="file with a random secret of at least 32 bytes, which a push "
                                                      "must contain; the model contains its salted SHA-256 only")
    memory_budget_bytes: int | None = Field(
        None, ge=1, description="memory of the server for this model; two versions must fit, as a hot reload keeps "
                                "both (null: no limit)")
