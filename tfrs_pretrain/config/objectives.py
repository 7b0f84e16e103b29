"""Losses of Stage I and the negatives that each can use."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tfrs_pretrain.strict_model import KindModel, short_form


class _Negatives(KindModel):
    mask_known_positives: bool = Field(False, description="remove the user's other training items from the negatives")


class _SampledNegatives(_Negatives):
    """Negatives that include the items of the batch, whose frequency the logits can be corrected for."""

    log_q: Literal["none", "classic", "refined"] = Field(
        "classic", description="classic: subtract the log sampling probability from the logits (Yi et al., RecSys "
                               "2019); refined: the positive is certain, not sampled (arXiv 2507.09331)")
    remove_accidental_hits: bool = Field(True, description="drop in-batch negatives equal to the positive item")

    @model_validator(mode="after")
    def _refined_needs_hits_removed(self) -> _SampledNegatives:
        if self.log_q == "refined" and not self.remove_accidental_hits:
            raise ValueError("log_q 'refined' needs remove_accidental_hits: set it to true, or log_q to classic")
        return self


class InBatchNegatives(_SampledNegatives):
    """The items of the other pairs in the batch."""

    count: ClassVar[int] = 0
    kind: Literal["in_batch"] = Field("in_batch", description="which negatives")


class MixedNegatives(_SampledNegatives):
    """The items of the other pairs and uniform draws from the corpus (Yang et al., WWW 2020)."""

    kind: Literal["mixed"] = Field("mixed", description="which negatives")
    count: int = Field(ge=1, description="uniform draws per step over all replicas")


class UniformNegatives(_Negatives):
    """Uniform draws from the corpus, which need no correction."""

    log_q: ClassVar[Literal["none"]] = "none"
    kind: Literal["uniform"] = Field("uniform", description="which negatives")
    count: int = Field(ge=1, description="uniform draws per step over all replicas")


Negatives = Annotated[InBatchNegatives | MixedNegatives | UniformNegatives, Field(discriminator="kind"),
                      short_form("in_batch")]


class SoftmaxObjective(KindModel):
    """Cross-entropy of the positive item over the candidates."""

    kind: Literal["softmax"] = Field("softmax", description="which loss")
    temperature: float = Field(0.2, gt=0, description="divides the similarity")
    learn_temperature: bool = Field(False, description="start from temperature and learn it with the tables")
    normalize: bool = Field(True, description="L2-normalize both embeddings before the dot product")
    popularity_prior: float = Field(
        0.0, ge=0, description="times log(share of the item in the training pairs), added to each logit")
    negatives: Negatives = Field(InBatchNegatives(), description="candidates beside the positive item")


class CosineContrastiveObjective(KindModel):
    """A margin on cosines against uniform negatives (SimpleX, arXiv 2109.12613)."""

    normalize: ClassVar[bool] = True
    learn_temperature: ClassVar[bool] = False
    popularity_prior: ClassVar[float] = 0.0
    kind: Literal["cosine_contrastive"] = Field("cosine_contrastive", description="which loss")
    margin: float = Field(0.4, ge=-1, lt=1, description="cosine up to which a negative costs nothing")
    negative_weight: float = Field(50.0, gt=0, description="weight of the mean over the negatives")
    negatives: UniformNegatives = Field(description="draws that the positive item is compared with")


Objective = Annotated[SoftmaxObjective | CosineContrastiveObjective, Field(discriminator="kind"),
                      short_form("softmax")]
