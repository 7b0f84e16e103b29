"""Stage I: tables, objective and schedule."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrs_pretrain.schema import Strict


class PretrainingConfig(Strict):
    """Stage I: two bare ID lookups, a dot product, a contrastive loss."""

    dim: int = Field(64, ge=1, description="columns of the user and item tables")
    epochs: int = Field(6, ge=0, description="passes over the training pairs (0: the rows as they start)")
    batch_size: int = Field(2048, ge=2, description="pairs per step over all replicas")
    objective: Literal["softmax", "cosine_contrastive"] = Field(
        "softmax", description="the loss: cross-entropy over candidates, or a margin on cosines (arXiv 2109.12613)")
    negatives: Literal["in_batch", "mixed", "uniform"] = Field(
        "in_batch", description="other pairs' items, uniform draws from the corpus, or both")
    uniform_negatives: int = Field(0, ge=0, description="draws per step over all replicas, for mixed and uniform")
    temperature: float = Field(0.07, gt=0, description="divides the similarity")
    learn_temperature: bool = Field(False, description="start from temperature and learn it with the tables")
    margin: float = Field(0.4, ge=-1, lt=1, description="cosine_contrastive: cosine up to which a negative is free")
    negative_weight: float = Field(50.0, gt=0, description="cosine_contrastive: weight of the mean over negatives")
    popularity_prior: float = Field(
        0.0, ge=0, description="times log(share of the item in the training pairs), added to each logit")
    mask_known_positives: bool = Field(False, description="keep the user's other training items out of the negatives")
    normalize: bool = Field(True, description="L2-normalise both embeddings before the dot product")
    log_q: bool = Field(True, description="subtract log sampling probability from the logits (Yi et al., RecSys 2019)")
    log_q_form: Literal["classic", "refined"] = Field(
        "classic", description="refined: the positive is certain, not sampled (arXiv 2507.09331)")
    remove_accidental_hits: bool = Field(True, description="drop in-batch negatives equal to the positive item")
    optimizer: Literal["lazy_adam", "rowwise_adagrad", "adagrad"] = Field(
        "lazy_adam", description="of both tables; each touches only the rows of a batch")
    learning_rate: float = Field(2e-3, gt=0, description="of both tables, at the first step")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "linear", description="of the learning rate: linear and cosine fall to 0")
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rate first grows")
    embedding_l2: float = Field(0.0, ge=0, description="L2 penalty on the rows of a batch")
    interval_decay: float = Field(
        0.0, ge=0, lt=1, description="decay of a row for each step that it was absent (AdamAR, arXiv 2511.06374)")
    initial_scale: float = Field(0.05, gt=0, description="standard deviation of the initial rows")
    recall_at: tuple[int, ...] = Field((10, 50), description="cut-offs of full-corpus recall on held-out pairs")
    max_queries: int = Field(2000, ge=1, description="held-out users scored against the whole corpus each epoch")

    @model_validator(mode="after")
    def _is_an_objective(self) -> PretrainingConfig:
        if (self.negatives == "in_batch") != (self.uniform_negatives == 0):
            raise ValueError(f"negatives {self.negatives!r} and uniform_negatives {self.uniform_negatives} do not fit: "
                             "in_batch needs 0 draws, mixed and uniform at least 1")
        if self.objective == "cosine_contrastive" and self.negatives != "uniform":
            raise ValueError(f"objective cosine_contrastive needs negatives 'uniform', not {self.negatives!r}")
        if self.objective == "cosine_contrastive" and (self.learn_temperature or not self.normalize):
            raise ValueError("objective cosine_contrastive has no temperature and is always normalized: leave "
                             "learn_temperature false and normalize true")
        if self.objective == "cosine_contrastive" and self.popularity_prior:
            raise ValueError("objective cosine_contrastive has no logits to add a popularity_prior to: leave it 0")
        if self.log_q_form == "refined" and not (self.log_q and self.remove_accidental_hits):
            raise ValueError("log_q_form 'refined' needs log_q and remove_accidental_hits")
        return self
