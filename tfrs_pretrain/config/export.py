"""What is served."""

from __future__ import annotations

from pydantic import Field

from tfrs_pretrain.schema import Strict


class ExportConfig(Strict):
    """What is served."""

    arm: str = Field(description="arm of ranking.arms whose model is exported")
    tolerance: float = Field(1e-5, gt=0, description="largest difference allowed between served and trained scores")
