"""What is served."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrs_pretrain.strict_model import StrictModel


class ExportConfig(StrictModel):
    """What is served."""

    arm: str = Field(description="arm of ranking.arms whose model is exported")
    tolerance: float = Field(1e-5, gt=0, description="largest difference allowed between served scores and those of "
                                                     "the trained model, with the rows that are served")
    table_dtype: Literal["float32", "float16", "int8"] = Field(
        "float32", description="type of the served tables' rows; int8 rows have a scale each")
    table_tolerance: float = Field(0.05, gt=0, description="largest difference allowed between validation scores with "
                                                           "rows of table_dtype and with those that were trained")
    memory_budget_bytes: int | None = Field(
        None, ge=1, description="what the server has for this model; two versions must fit, as a hot reload holds both "
                                "(null: no limit)")
