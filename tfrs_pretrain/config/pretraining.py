"""Stage I: tables, objective and schedule."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrs_pretrain.config.objectives import Objective, SoftmaxObjective
from tfrs_pretrain.strict_model import StrictModel


class PretrainingConfig(StrictModel):
    """Stage I: two bare ID lookups, a dot product, a contrastive loss."""

    dim: int = Field(64, ge=1, description="columns of the user and item tables")
    epochs: int | None = Field(None, ge=0, description=(
        "passes over the training pairs (0: the initial rows). By default, as many as update a row "
        "120 times on average in the table with more IDs, from 6 to 100; 6 with --start-from"))
    batch_size: int = Field(2048, ge=2, description="pairs per step over all replicas")
    objective: Objective = Field(SoftmaxObjective(), description="the loss and its negatives")
    optimizer: Literal["lazy_adam", "rowwise_adagrad", "adagrad"] = Field(
        "lazy_adam", description="of both tables; each touches only the rows of a batch")
    learning_rate: float = Field(8e-3, gt=0, description="of both tables, at the first step")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "linear", description="of the learning rate: linear and cosine fall to 0")
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rate first grows")
    embedding_l2: float = Field(0.0, ge=0, description="L2 penalty on the rows of a batch")
    interval_decay: float = Field(
        0.0, ge=0, lt=1, description="decay of a row for each step that it was absent (AdamAR, arXiv 2511.06374)")
    initial_scale: float = Field(0.05, gt=0, description="standard deviation of the initial rows")
    recall_at: tuple[int, ...] = Field((10, 50), description="cut-offs of full-corpus recall on held-out pairs")
    max_queries: int = Field(2000, ge=1, description=(
        "held-out users scored against the whole corpus each epoch, those with the smallest hash; recall has the "
        "interval of this sample"))
